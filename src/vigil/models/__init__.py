"""Model families: what differs between the models that Vigil trains and serves, in one place.

`ModelFamily` holds the facts of one family, `family_of(config)` and `family_named(name)` find it, and `tokens` counts
what windows, examples and attachments take.

LoRA adapters as peft writes them: what is in one, whether a merge holds it, whether vLLM serves it unmerged.
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
