"""Checks a dataset for faults that would spoil training or scoring, before hours are spent on it.

    vigil dataset check data --tokenizer models/Qwen3-VL-2B-Instruct

An error makes the training or the score wrong; a warning should be looked at by a person.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from vigil.dataset.answer_wording import authors
from vigil.dataset.answers import has_description, label_of_answer, taught
from vigil.dataset.clips import Split
from vigil.dataset.examples import SPLITS, TrainingExample, read_splits, split_name, split_path
from vigil.dataset.folder import dataset_digest, read_dataset_info, read_dataset_manifest
from vigil.dataset.frame_files import FrameFile, inspect_frames
from vigil.dataset.leakage import Finding, find_leaks, finding_for, label_leaking_traits
from vigil.dataset.ownership import REGISTRY_NAME
from vigil.dataset.workers import CombinedProgress, ProgressCallback, no_progress
from vigil.frames import FrameSampling
from vigil.label_tokens import deciding_ids, indistinct_labels, indistinct_message
from vigil.manifest import Manifest
from vigil.models import ModelFamily, family_named
from vigil.models.tokens import ByteBound, TokenCounter, TokenizerCounter, example_tokens, load_token_counter
from vigil.questions import Question
from vigil.special_tokens import special_token_in

CUTOFF_LEN = 2048
"""LLaMA-Factory's default."""

FEW_CLIPS = 20
FEW_GROUPS = 5
UNEVEN = 3.0

SplitExamples: TypeAlias = Mapping[Split, Sequence[TrainingExample]]
FrameFiles: TypeAlias = Mapping[str, FrameFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSummary:
    """Statistics of a split; `frames` and `sizes_wh` count windows, `tokens` is the length of the longest example.

    `classes` counts the windows of each label, if the task has others than alarm and normal.
    """

    examples: int
    clips: int
    groups: int
    alarm: int
    normal: int
    classes: Mapping[str, int]
    frames: Mapping[int, int]
    sizes_wh: Mapping[tuple[int, int], int]
    words: Mapping[str, int]
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The result of a check; `exact_tokens` is True if a tokenizer counted the tokens."""

    findings: tuple[Finding, ...]
    splits: Mapping[Split, SplitSummary]
    manifest: Manifest
    exact_tokens: bool
    cutoff_len: int

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make training or scoring wrong."""
        return tuple(finding for finding in self.findings if finding.level == "error")


def check_dataset(
    folder: Path,
    *,
    tokenizer: Path | None = None,
    cutoff_len: int = CUTOFF_LEN,
    progress: ProgressCallback = no_progress,
) -> CheckReport:
    """Checks a dataset folder; raises DatasetError if it cannot be read at all."""
    manifest, task = read_dataset_manifest(folder)
    splits = read_splits(folder, task)
    text = load_token_counter(tokenizer) if tokenizer else ByteBound()
    frames = [frame for examples in splits.values() for example in examples for frame in example.frames]
    clips = len({example.clip for examples in splits.values() for example in examples})
    stages = CombinedProgress(progress, [len(set(frames)), clips, clips])
    pictures = inspect_frames(folder, frames, progress=stages.next())
    findings = [
        *_of_registry(folder, splits),
        *_of_pictures(splits, pictures, manifest),
        *_of_answers(splits, task),
        *_of_words(splits, task),
        *_of_balance(splits),
        *_of_missing(splits, task),
        *find_leaks(folder, splits, pictures, stages),
        *label_leaking_traits(folder, splits, pictures),
        *_of_length(splits, pictures, manifest, text, cutoff_len),
    ]
    if isinstance(text, TokenizerCounter):
        findings += _of_tokens(splits, task, text)
    findings += _of_digest(folder, splits, pictures, manifest)
    return CheckReport(
        findings=tuple(findings),
        splits={split: _facts(splits[split], pictures, manifest, text, task) for split in SPLITS if splits[split]},
        manifest=manifest,
        exact_tokens=text.exact,
        cutoff_len=cutoff_len,
    )


def _of_registry(folder: Path, splits: SplitExamples) -> Iterator[Finding]:
    entries = read_dataset_info(folder / REGISTRY_NAME)
    for split in SPLITS:
        entry = entries.get(split_name(split))
        if splits[split] and not isinstance(entry, dict):
            yield Finding("error", f"{REGISTRY_NAME} has no entry {split_name(split)!r}; build the dataset again")
        if entry and not split_path(folder, split).is_file():
            yield Finding("error", f"{REGISTRY_NAME} names {split_name(split)}, whose file is missing")


def _of_pictures(splits: SplitExamples, pictures: FrameFiles, manifest: Manifest) -> Iterator[Finding]:
    sampling = manifest.contract.sampling
    wrong: dict[str, list[str]] = {}
    for split, number, example in _all(splits):
        sizes = {pictures[frame].size_wh for frame in example.frames if not pictures[frame].problem}
        complaints = {
            f"windows do not have {_grouped(sampling)} of 2 to {sampling.frames} frames": (
                sampling.missing_frames(len(example.frames)) > 0 or not 2 <= len(example.frames) <= sampling.frames
            ),
            "windows mix pictures of unequal sizes": len(sizes) > 1,
            f"windows have sides that are not multiples of {sampling.pixel_multiple}": any(
                w % sampling.pixel_multiple or h % sampling.pixel_multiple for w, h in sizes
            ),
            f"windows are larger than {sampling.max_pixels} pixels": any(w * h > sampling.max_pixels for w, h in sizes),
        }
        for what in (what for what, is_so in complaints.items() if is_so):
            wrong.setdefault(what, []).append(f"{split_name(split)} {number}: {example.clip}")
    yield from finding_for(
        "error", "frames are missing or unreadable", [p.problem for p in pictures.values() if p.problem]
    )
    for what, where in wrong.items():
        yield from finding_for("error", what, where)


def _grouped(sampling: FrameSampling) -> str:
    group = sampling.frames_per_group
    return "an even number" if group == 2 else f"a multiple of {group}"


def _all(splits: SplitExamples) -> Iterator[tuple[Split, int, TrainingExample]]:
    return ((split, number, example) for split in SPLITS for number, example in enumerate(splits[split]))


def _of_answers(splits: SplitExamples, task: Question) -> Iterator[Finding]:
    rows = [(f"{split_name(split)} {number}: {e.clip}: {e.answer[:30]}", e) for split, number, e in _all(splits)]
    none = [where for where, e in rows if label_of_answer(e.answer, task) is None]
    other = [where for where, e in rows if label_of_answer(e.answer, task) not in (None, e.label)]
    mismatched = [where for where, e in rows if e.question != task.text]
    marked = [f"{where} holds {mark}" for where, e in rows if (mark := special_token_in(e.answer))]
    marked += [f"{where}, its question holds {mark}" for where, e in rows if (mark := special_token_in(e.question))]
    words = " or ".join(task.words().values())
    yield from finding_for("error", f"answers do not begin with a verdict word ({words})", none)
    wrong = "the opposite of" if task.has_two_labels else "another class than"
    yield from finding_for("error", f"answers say {wrong} the label", other)
    what = "texts hold marks that stand for pictures or for the ends of turns; take them out"
    yield from finding_for("error", what, marked)
    yield from finding_for("error", "questions are not the one of the manifest, which serving will ask", mismatched)


def _of_words(splits: SplitExamples, task: Question) -> Iterator[Finding]:
    alarms = [example.answer for example in splits["train"] if task.is_alarm(example.label)]
    described = sum(has_description(answer, task) for answer in alarms)
    if described and taught(alarms, *map(task.word, task.alarm_labels)) == "verdict":
        yield Finding(
            "warning",
            f"only {described} of {len(alarms)} alarm windows of training are described, so the model will answer with "
            "the verdict alone; vigil dataset annotate describes the rest",
        )


def _of_tokens(splits: SplitExamples, task: Question, tokenizer: TokenizerCounter) -> Iterator[Finding]:
    yield from (Finding("error", message) for message in indistinct_words(task, tokenizer))
    misread = misread_answers([example for each in splits.values() for example in each], task, tokenizer)
    what = "answers begin with other tokens than the verdict word that is read; put a comma or a stop behind the word"
    yield from finding_for("warning", what, misread)


def _of_balance(splits: SplitExamples) -> Iterator[Finding]:
    for split in (split for split in SPLITS if splits[split]):
        counts = Counter(example.label for example in splits[split])
        clips = {label: len({e.clip for e in splits[split] if e.label == label}) for label in counts}
        groups = len({example.group for example in splits[split]})
        if len(counts) < 2:
            yield Finding("error", f"{split_name(split)} holds only {next(iter(counts))} examples")
            continue
        if max(counts.values()) > UNEVEN * min(counts.values()):
            each = ", ".join(f"{counts[label]} {label}" for label in sorted(counts))
            yield Finding("warning", f"{split_name(split)} is uneven: {each}")
        if min(clips.values()) < FEW_CLIPS or groups < FEW_GROUPS:
            few = ", ".join(f"{count} {label} clips" for label, count in sorted(clips.items()))
            yield Finding("warning", f"{split_name(split)} is small: {few}, {groups} groups; its figures say little")
    if not splits["train"]:
        yield Finding("warning", "there is no train split")


def _of_missing(splits: SplitExamples, task: Question) -> Iterator[Finding]:
    """Labels without an example in training, and those that training knows and a held-out split lacks."""
    if task.has_two_labels or not splits["train"]:
        return
    present = {split: {example.label for example in splits[split]} for split in SPLITS if splits[split]}
    absent = task.lacks(present["train"])
    if absent:
        yield Finding("warning", f"{split_name('train')} holds no {', '.join(absent)}: the model will never say so")
    for split, labels in present.items():
        lost = [label for label in task.lacks(labels) if label in present["train"]]
        if lost:
            yield Finding("warning", f"{split_name(split)} holds no {', '.join(lost)}, which training does")


def _of_length(
    splits: SplitExamples, pictures: FrameFiles, manifest: Manifest, text: TokenCounter, cutoff_len: int
) -> Iterator[Finding]:
    counted = _Counting(family_named(manifest.family), manifest.contract.sampling.fps, text)
    too_long: list[str] = []
    perhaps: list[str] = []
    for split, number, example in _all(splits):
        size_wh = pictures[example.frames[0]].size_wh
        tokens = counted.tokens(example, size_wh)
        if tokens > cutoff_len:
            certain = text.exact or counted.family.visual_tokens(len(example.frames), size_wh) > cutoff_len
            (too_long if certain else perhaps).append(f"{split_name(split)} {number}: {example.clip}: {tokens} tokens")
    yield from finding_for("error", f"examples are longer than cutoff_len {cutoff_len} and would be cut off", too_long)
    what = f"examples may be longer than cutoff_len {cutoff_len}; --tokenizer MODEL counts exactly"
    yield from finding_for("warning", what, perhaps)


def _of_digest(folder: Path, splits: SplitExamples, pictures: FrameFiles, manifest: Manifest) -> Iterator[Finding]:
    broken = any(picture.problem for picture in pictures.values())
    if not broken and dataset_digest(folder, splits) != manifest.data_digest:
        yield Finding(
            "warning",
            "the dataset was edited after vigil.json was written; training takes it as it is, the same build brings "
            "vigil.json up to date",
        )


def _facts(
    examples: Sequence[TrainingExample], pictures: FrameFiles, manifest: Manifest, text: TokenCounter, task: Question
) -> SplitSummary:
    sizes = [pictures[example.frames[0]].size_wh for example in examples]
    counted = _Counting(family_named(manifest.family), manifest.contract.sampling.fps, text)
    return SplitSummary(
        examples=len(examples),
        clips=len({example.clip for example in examples}),
        groups=len({example.group for example in examples}),
        alarm=sum(task.is_alarm(example.label) for example in examples),
        normal=sum(not task.is_alarm(example.label) for example in examples),
        classes={} if task.has_two_labels else Counter(example.label for example in examples),
        frames=Counter(len(example.frames) for example in examples),
        sizes_wh=Counter(sizes),
        words=authors(examples),
        tokens=max(counted.tokens(example, size) for example, size in zip(examples, sizes, strict=True)),
    )


@dataclass(frozen=True, slots=True)
class _Counting:
    """Counts the tokens of examples in the prompt format of one model family."""

    family: ModelFamily
    fps: float
    counter: TokenCounter

    def tokens(self, example: TrainingExample, size_wh: tuple[int, int]) -> int:
        frames = len(example.frames)
        return example_tokens(
            self.family, example.answer, example.question, frames, size_wh, fps=self.fps, counter=self.counter
        )


def indistinct_words(task: Question, tokenizer: TokenizerCounter) -> list[str]:
    """Returns messages about label words with no distinguishing token, for which no probability can be read."""
    words = task.words()
    ids = {label: tokenizer.ids(word) for label, word in words.items()}
    return [indistinct_message(words[one], words[other]) for one, other in indistinct_labels(ids)]


def misread_answers(examples: Sequence[TrainingExample], task: Question, tokenizer: TokenizerCounter) -> list[str]:
    """Returns answers that begin with other tokens than the label word alone, such as 没有人 without a comma.

    They teach tokens that are not read as a verdict. Empty if the label words themselves are indistinct.
    """
    ids = {label: tokenizer.ids(word) for label, word in task.words().items()}
    if any(indistinct_labels(ids)):
        return []
    read = {label: deciding_ids(ids, label) for label in ids}
    heads = {example.answer: label_of_answer(example.answer, task) for example in examples}
    return [
        f"{answer[:20]!r} begins with {tokenizer.begins(answer, len(read[label]))!r}"
        for answer, label in heads.items()
        if label is not None and tokenizer.ids(answer)[: len(read[label])] != read[label]
    ]
