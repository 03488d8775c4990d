"""Reads and checks weight files: whether they are complete, their tensors, and single rows without loading the rest.

A safetensors file is eight bytes of length, a JSON header of that length, and the tensors where the header says:
https://huggingface.co/docs/safetensors (format).

`untrusted` and `incomplete` check a model's folder before a program is started on it. Otherwise a missing tokenizer or
processor is noticed only half a minute later, weights stored as `.bin` can run code when they are loaded, and so can a
model that brings its own modules (`auto_map`, `trust_remote_code`).
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.errors import EnvironmentMissing, JobError
from vigil.models.bfloat16 import to_float32

LENGTH_BYTES = 8
MOST_HEADER_BYTES = 100_000_000
"""The limit of the safetensors library itself."""

INDEX_NAME = "model.safetensors.index.json"
ONE_FILE = "model.safetensors"
TYPES = {
    "BF16": "<u2", "F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "?", "U8": "u1",
    "I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8",
}  # fmt: skip
"""The numpy types of the tensors in a safetensors file; bfloat16 as its bits."""

FLOATS = frozenset({"BF16", "F16", "F32", "F64"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor within its file; `start` is its offset in bytes from the beginning of the file."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def rows(self) -> int:
        """The length of the first dimension."""
        return self.shape[0] if self.shape else 1

    @property
    def row_values(self) -> int:
        """The number of values in each row."""
        return math.prod(self.shape[1:])

    def read(self, first: int = 0, last: int | None = None) -> NDArray[Any]:
        """Rows `first` to `last` as `(rows, row_values)`, bfloat16 as its bits; raises JobError."""
        if self.dtype not in TYPES:
            raise JobError(f"{self.name} in {self.file} holds values of type {self.dtype}, which cannot be compared")
        kind = np.dtype(TYPES[self.dtype])
        rows = (self.rows if last is None else min(last, self.rows)) - first
        offset = self.start + first * self.row_values * kind.itemsize
        try:
            values = np.fromfile(self.file, dtype=kind, count=rows * self.row_values, offset=offset)
            return values.reshape(rows, self.row_values)
        except (OSError, ValueError) as error:
            raise JobError(f"{self.name} cannot be read from {self.file}: {error}") from error

    def read_float32(self, first: int = 0, last: int | None = None) -> NDArray[np.float32]:
        """The same rows in float32."""
        values = self.read(first, last)
        return to_float32(values) if self.dtype == "BF16" else values.astype(np.float32)


def safetensors_damage(file: Path) -> str | None:
    """What is wrong with a safetensors file, as "ends after 10 of 20 bytes"; None if nothing is.

    Only the header is read; the values of the tensors are not checked.
    """
    try:
        size = file.stat().st_size
        length, header = _header(file)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    tensors = _tensor_bytes(header)
    if tensors is None:
        return f"has no header of safetensors in its {size} bytes"
    needed = LENGTH_BYTES + length + tensors
    return f"ends after {size} of {needed} bytes" if size < needed else None


def weight_files(folder: Path) -> list[str]:
    """The names of a model's weight files, as listed in its index; they need not exist.

    Raises EnvironmentMissing if there is an index that cannot be read.
    """
    try:
        index = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
        return sorted({str(name) for name in index["weight_map"].values()})
    except FileNotFoundError:
        return [ONE_FILE]
    except (KeyError, TypeError, AttributeError) as error:
        raise _bad_index(folder, "it holds no weight_map") from error
    except (OSError, ValueError) as error:
        raise _bad_index(folder, error) from error


def tensors_in(files: Iterable[Path]) -> dict[str, Tensor]:
    """Every tensor of some safetensors files, by name; raises JobError if a file is incomplete."""
    found: dict[str, Tensor] = {}
    for file in files:
        damaged = safetensors_damage(file)
        if damaged is not None:
            raise JobError(f"{file} {damaged}; download or export it again")
        length, header = _header(file)
        found |= _tensors(file, json.loads(header), LENGTH_BYTES + length)
    return found


def _bad_index(folder: Path, why: object) -> EnvironmentMissing:
    return EnvironmentMissing(f"{folder / INDEX_NAME} is damaged ({why}); download or export the model again")


def _tensors(file: Path, header: dict[str, Any], data_start: int) -> dict[str, Tensor]:
    return {
        name: Tensor(
            name=name,
            file=file,
            dtype=str(entry["dtype"]),
            shape=tuple(map(int, entry["shape"])),
            start=data_start + int(entry["data_offsets"][0]),
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _header(file: Path) -> tuple[int, bytes]:
    with file.open("rb") as weights:
        length = int.from_bytes(weights.read(LENGTH_BYTES), "little")
        return length, weights.read(min(length, MOST_HEADER_BYTES))


def _tensor_bytes(header: bytes) -> int | None:
    """Where the last tensor ends, counted from the end of the header; None if the header is invalid."""
    try:
        tensors: dict[str, Any] = dict(json.loads(header))
        return max((int(tensors[name]["data_offsets"][1]) for name in tensors if name != "__metadata__"), default=0)
    except (ValueError, TypeError, LookupError):
        return None


PICKLES = ("*.bin", "*.pt", "*.pth")
TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("tokenizer.model",))
"""Sets of files, one of which is sufficient."""

PROCESSORS = ("processor_config.json", "preprocessor_config.json")
CODED = ("config.json", "tokenizer_config.json", *PROCESSORS)


def untrusted(folder: Path, *, own_code: bool = False) -> str:
    """Why a folder with a config.json is not loaded, as "holds its weights only as (...)", and what to do; else "".

    `own_code` says that the user allowed the model's own code to run.
    """
    try:
        _json(folder / "config.json")
    except ValueError as error:
        return f"has a config.json that cannot be read ({error}); fetch it again"
    return ("" if own_code else _own_code(folder)) or _pickled(folder)


def incomplete(folder: Path, *, tokenizer: bool = True) -> str:
    """What is missing beside the weights, as "has no tokenizer (...)", and what to do; else "".

    `tokenizer` says that one is needed in this folder.
    """
    if tokenizer and not _has_tokenizer(folder):
        return _no_tokenizer()
    sees = "vision_config" in _json(folder / "config.json")
    return "" if not sees or _has_processor(folder) else _no_processor()


def _own_code(folder: Path) -> str:
    for name in CODED:
        try:
            classes = _json(folder / name).get("auto_map")
        except ValueError:
            continue
        if classes:
            return (
                f"brings program code of its own ({name} names it under auto_map), and Vigil runs no code out of a "
                "model's folder; take a model that transformers and vLLM know, as Qwen3-VL"
            )
    return ""


def _pickled(folder: Path) -> str:
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if not pickles or any(folder.glob("*.safetensors")) or (folder / "model.safetensors.index.json").exists():
        return ""
    return (
        f"holds its weights only as {pickles[0]}, which can run code when it is loaded; fetch a copy of it with "
        "*.safetensors"
    )


def _has_tokenizer(folder: Path) -> bool:
    return any(all((folder / name).is_file() for name in names) for names in TOKENIZERS)


def _no_tokenizer() -> str:
    either = ", or ".join(" and ".join(names) for names in TOKENIZERS)
    return f"has no tokenizer ({either}); fetch the model again, or copy those files from where it came from"


def _has_processor(folder: Path) -> bool:
    return any((folder / name).is_file() for name in PROCESSORS)


def _no_processor() -> str:
    return (
        f"reads images, but nothing says how they are prepared ({' or '.join(PROCESSORS)} is missing); fetch the "
        "model again, or copy those files from where it came from"
    )


def _json(path: Path) -> dict[str, Any]:
    """The object in a file, {} if there is no file; raises ValueError if it holds none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ValueError(error.strerror) from error
    if not isinstance(data, dict):
        raise ValueError("it holds no object")
    return data
