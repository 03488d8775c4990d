"""Reads and checks a dataset before training: its contract, its frames and the length of its longest example.

Reads the ShareGPT-format JSON that `vigil dataset build` writes (the entries of `dataset_info.json`) and checks that
every frame exists. Token counts are upper bounds: exact for pictures, and the number of UTF-8 bytes for text, which a
byte-level tokenizer never exceeds.
"""

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from vigil.dataset.answers import taught
from vigil.dataset.folder import dataset_digest_on_disk
from vigil.dataset.used_clips import UsedClips, used_clips
from vigil.errors import DatasetError, ManifestError
from vigil.manifest import MANIFEST_NAME, Contract, Manifest, read_manifest
from vigil.models import ModelFamily, family_named
from vigil.models.tokens import TURN_TOKENS, ByteBound, example_tokens

REBUILD = "build it again with vigil dataset build"
VAL = "anomaly-val"
"""The dataset entry used to select the best epoch."""

TEST = "anomaly-test"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """A dataset ready for training. Token counts are those of the longest example.

    The manifest's `data_digest` is computed from the files on disk. `evaluated` names the entries that are evaluated
    during training, with `evaluated_examples` in all. `clips_used` lists the clips by split, including those of the
    test split, which the model must not see.
    """

    folder: Path
    manifest: Manifest
    examples: int
    sizes_wh: frozenset[tuple[int, int]]
    longest_tokens: int
    visual_tokens: int
    evaluated: tuple[str, ...] = ()
    evaluated_examples: int = 0
    clips_used: Mapping[str, UsedClips] = field(default_factory=dict)


def read_training_data(folder: Path, names: Sequence[str], *, evaluated: Sequence[str] | None = None) -> TrainingData:
    """Reads the named datasets of a folder and those to evaluate on (default: its val split, if it has one).

    Raises DatasetError if one is missing, empty or damaged, or if frames are missing.
    """
    try:
        manifest = read_manifest(folder)
    except ManifestError as error:
        problem = error if (folder / MANIFEST_NAME).exists() else f"it has no {MANIFEST_NAME}"
        raise DatasetError(
            f"{folder} is no dataset to train on ({problem}); build one: vigil dataset build CLIPS --out {folder}"
        ) from error
    files = [_file_of(folder, name) for name in names]
    trained_on = [example for file in files for example in _examples(file)]
    if not trained_on:
        raise DatasetError(f"{', '.join(names)} in {folder} holds no example; {REBUILD}")
    if evaluated is None:
        evaluated = [VAL] if VAL in _entries(folder) and VAL not in names else []
    held_out = [_file_of(folder, name) for name in evaluated]
    examples = trained_on + [example for file in held_out for example in _examples(file)]
    if evaluated and len(examples) == len(trained_on):
        raise DatasetError(f"{', '.join(evaluated)} in {folder} holds no example; {REBUILD}")
    videos = [_frames(example) for example in examples]
    _check_frames(folder, videos)
    sizes = [_size_wh(folder / frames[0]) for frames in videos]
    family, fps = family_named(manifest.family), manifest.contract.sampling.fps
    counts = [
        _tokens(example, len(frames), size, family=family, fps=fps)
        for example, frames, size in zip(examples, videos, sizes, strict=True)
    ]
    longest, visual = max(counts)
    return TrainingData(
        folder=folder,
        # Taken from the files, not from the build: people may have edited them since.
        manifest=replace(
            manifest,
            contract=_taught(manifest.contract, trained_on),
            data_digest=dataset_digest_on_disk(folder, [*files, *held_out]),
        ),
        examples=len(trained_on),
        sizes_wh=frozenset(sizes),
        longest_tokens=longest,
        visual_tokens=visual,
        evaluated=tuple(evaluated),
        evaluated_examples=len(examples) - len(trained_on),
        clips_used={
            "train": used_clips(folder, trained_on),
            "val": used_clips(folder, examples[len(trained_on) :]),
            "test": used_clips(folder, _test_examples(folder, {*files, *held_out})),
        },
    )


def _test_examples(folder: Path, others: Container[Path]) -> Sequence[Mapping[str, Any]]:
    """Returns the test split; empty if there is none or if it is used in this training."""
    path = folder / f"{TEST}.json"
    return _examples(path) if path.is_file() and path not in others else ()


def _taught(contract: Contract, examples: Sequence[Mapping[str, Any]]) -> Contract:
    """Returns the contract with the kind of answer that these examples teach."""
    texts = [str(example["messages"][-1].get("content", "")) for example in examples if example.get("messages")]
    return replace(contract, answers=taught(texts, *contract.alarm_words))


def _entries(folder: Path) -> Mapping[str, Any]:
    entries = _json(folder / "dataset_info.json")
    return entries if isinstance(entries, dict) else {}


def _file_of(folder: Path, name: str) -> Path:
    entries = _entries(folder)
    if not isinstance(entries.get(name), dict):
        known = ", ".join(entries)
        raise DatasetError(f"{folder / 'dataset_info.json'} has no entry {name!r}; it has {known or 'none'}")
    return folder / str(entries[name].get("file_name", f"{name}.json"))


def _examples(path: Path) -> list[Mapping[str, Any]]:
    examples = _json(path)
    if not isinstance(examples, list):
        raise DatasetError(f"{path} must hold a list of examples; {REBUILD}")
    return examples


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"{path} is missing; {REBUILD}") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); {REBUILD}") from error


def _frames(example: Mapping[str, Any]) -> Sequence[str]:
    videos = example.get("videos") if isinstance(example, dict) else None
    if not isinstance(videos, list) or len(videos) != 1 or not isinstance(videos[0], list) or not videos[0]:
        raise DatasetError(
            f"an example has no list of frames: {str(example)[:120]}; training reads pre-cut frames, "
            "one window an example, because LLaMA-Factory and vLLM sample mp4 differently"
        )
    return videos[0]


def _check_frames(folder: Path, videos: Iterable[Sequence[str]]) -> None:
    named = {frame for frames in videos for frame in frames}
    missing = sorted(frame for frame in named if not (folder / frame).is_file())
    if missing:
        raise DatasetError(f"{len(missing)} of {len(named)} frames are missing, first {folder / missing[0]}; {REBUILD}")


def _size_wh(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as picture:
            return picture.size
    except OSError as error:
        raise DatasetError(f"{path} is no readable picture ({error}); {REBUILD}") from error


def _tokens(
    example: Mapping[str, Any], frames: int, size_wh: tuple[int, int], *, family: ModelFamily, fps: float
) -> tuple[int, int]:
    """Returns an upper bound of an example's tokens, and its visual tokens; extra turns are allowed for."""
    lines = ["", "", *_lines(example)]
    prompt_lines, answer = lines[:-1], lines[-1]
    more = TURN_TOKENS * max(0, len(prompt_lines) - 3)
    counter = ByteBound()
    tokens = example_tokens(family, answer, "".join(prompt_lines), frames, size_wh, fps=fps, counter=counter)
    return tokens + more, family.visual_tokens(frames, size_wh)


def _lines(example: Mapping[str, Any]) -> Iterator[str]:
    for message in example.get("messages", ()):
        yield str(message.get("content", ""))
