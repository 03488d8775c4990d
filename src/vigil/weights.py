"""Is a file of weights whole? Asked before a program that takes half a minute to find out is started on it.

A safetensors file is eight bytes of length, a JSON header of that length, and the tensors where the header says:
https://huggingface.co/docs/safetensors (format).
"""

import json
from pathlib import Path
from typing import Any

LENGTH_BYTES = 8
MOST_HEADER_BYTES = 100_000_000
"""The limit of the safetensors library itself."""


def damage(file: Path) -> str | None:
    """What is wrong with a safetensors file, as "ends after 10 of 20 bytes"; None when nothing is.

    Only the header is read; the tensors may still hold anything.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as weights:
            length = int.from_bytes(weights.read(LENGTH_BYTES), "little")
            header = weights.read(min(length, MOST_HEADER_BYTES))
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    tensors = _tensor_bytes(header)
    if tensors is None:
        return f"has no header of safetensors in its {size} bytes"
    needed = LENGTH_BYTES + length + tensors
    return f"ends after {size} of {needed} bytes" if size < needed else None


def _tensor_bytes(header: bytes) -> int | None:
    """Where the last tensor ends, counted from the end of the header; None where that is no header."""
    try:
        tensors: dict[str, Any] = dict(json.loads(header))
        return max((int(tensors[name]["data_offsets"][1]) for name in tensors if name != "__metadata__"), default=0)
    except (ValueError, TypeError, LookupError):
        return None
