"""Model families and model folders: base models, checkpoints, LoRA adapters, and their merges.

`ModelFamily` holds what differs between the families that Vigil trains and serves; `family_of(config)` and
`family_named(name)` find one. `tokens` counts the tokens of windows, examples and attachments.
"""

from vigil.models.family import ModelFamily, time_text
from vigil.models.qwen import QWEN2_5_VL, QWEN3_VL
from vigil.models.registry import FAMILIES, family_in, family_named, family_of, family_reading

__all__ = [
    "FAMILIES",
    "QWEN2_5_VL",
    "QWEN3_VL",
    "ModelFamily",
    "family_in",
    "family_named",
    "family_of",
    "family_reading",
    "time_text",
]
