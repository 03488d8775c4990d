"""What must lie in a model's folder beside its weights, looked at before a program is started on it.

Tokenizer and processor are missed half a minute into a start otherwise, weights as `.bin` run code when they are
loaded, and so does a model that brings modules of its own (`auto_map`, what `trust_remote_code` is for).
"""

import json
from pathlib import Path
from typing import Any

PICKLES = ("*.bin", "*.pt", "*.pth")
TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("tokenizer.model",))
"""Sets of files of which one is enough."""

PROCESSORS = ("processor_config.json", "preprocessor_config.json")
CODED = ("config.json", "tokenizer_config.json", *PROCESSORS)


def untrusted(folder: Path, *, own_code: bool = False) -> str:
    """Why a folder with a config.json is not loaded, as "holds its weights only as (...)", and what to do; else "".

    `own_code` says that somebody asked for the model's own code to be run.
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
        f"sees pictures, but nothing says how they are prepared ({' or '.join(PROCESSORS)} is missing); fetch the "
        "model again, or copy those files from where it came from"
    )


def _json(path: Path) -> dict[str, Any]:
    """The object in a file, {} where there is no file; raises ValueError where it holds none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ValueError(error.strerror) from error
    if not isinstance(data, dict):
        raise ValueError("it holds no object")
    return data
