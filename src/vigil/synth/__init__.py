"""Synthetic clips: drawn surveillance-like scenes of peaceful people and of fights, reproducible from a seed.

`vigil synth` writes a dataset of them; the tiny base model is trained on them.
"""

from vigil.synth.actors import FIGHT_ACTIVITIES, NORMAL_ACTIVITIES
from vigil.synth.clip import DEFAULT_DIFFICULTY, ClipFacts, DrawnClip, draw_clip
from vigil.synth.dataset import write_synth_dataset

__all__ = [
    "DEFAULT_DIFFICULTY",
    "FIGHT_ACTIVITIES",
    "NORMAL_ACTIVITIES",
    "ClipFacts",
    "DrawnClip",
    "draw_clip",
    "write_synth_dataset",
]
