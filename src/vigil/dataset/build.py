"""Builds a LLaMA-Factory dataset from labelled clips: `anomaly-train.json`, `-val`, `-test`, frames, manifest.

Clips are windowed by the code that windows live sources. Builds are incremental: unchanged clips are not extracted
again, and answers written by people or models are kept. `vigil.json` is written last, so a folder without it is
incomplete. A build that fails before it changes anything leaves the previous dataset as it was.
"""

import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import vigil
from vigil.counted import counted
from vigil.dataset.answer_wording import worded
from vigil.dataset.answers import AnswerPolicy, TargetAnswer, has_description, template_answer
from vigil.dataset.clip_groups import find_groups, group_clips, read_groups
from vigil.dataset.clips import FolderMeaning, LabelledClip, Split, find_clips
from vigil.dataset.examples import NONE, SPLITS, TEMPLATE, TrainingExample, split_path, write_examples
from vigil.dataset.extract import ExtractSettings, extract_all, frames_folder
from vigil.dataset.folder import dataset_digest, write_dataset_info
from vigil.dataset.frame_files import MARKER_NAME, StoredClip, StoredWindow
from vigil.dataset.groups import SOURCES_NAME, group_by_csv, merge_identical, merge_similar
from vigil.dataset.ownership import own_partials, refuse_foreign, refuse_foreign_frames
from vigil.dataset.previous_answers import PreviousAnswers
from vigil.dataset.splits import SplitSettings, assign_splits, labels_in
from vigil.dataset.workers import ProgressCallback, no_progress
from vigil.errors import DatasetError, UsageError
from vigil.files import PARTIAL, os_errors_as
from vigil.manifest import MANIFEST_NAME, Contract, Manifest
from vigil.models import FAMILIES, ModelFamily
from vigil.questions import LabelName, Question

MOST_NAMED = 20
TRAIN: Split = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """All settings of a build.

    `sources` defaults to CLIPS/sources.csv if that exists; `limit` counts clips. The clips of `also` (synthetic ones,
    another public set) are used for training only, and omitted if they show a held-out recording. Frames are extracted
    for the models of `family`, whose grid must match that of the sampling in `extract`.
    """

    clips: Path
    out: Path
    task: Question
    extract: ExtractSettings
    family: ModelFamily = FAMILIES[0]
    answers: AnswerPolicy = "auto"
    split: SplitSettings = field(default_factory=SplitSettings)
    sources: Path | None = None
    also: Path | None = None
    meanings: Mapping[str, FolderMeaning] = field(default_factory=dict)
    limit: int | None = None
    jobs: int = 1
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The clips of a dataset; `answers` are texts people wrote about some, by clip name.

    `author` becomes the `described_by` of those answers.
    """

    clips: Sequence[LabelledClip]
    notes: Sequence[str] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """The result of a build.

    `labels` are those of the task that have clips, in its order; `unreadable` and `damaged` map clips to their faults,
    `notes` are hints for the user.
    """

    out: Path
    labels: Sequence[LabelName]
    examples: Mapping[Split, Sequence[TrainingExample]]
    grouped_by: str
    unreadable: Mapping[str, str]
    damaged: Mapping[str, Sequence[str]]
    notes: Sequence[str]
    num_cut: int
    num_kept: int
    manifest: Manifest


def build_dataset(plan: BuildSettings, *, progress: ProgressCallback = no_progress) -> BuildReport:
    """Builds a dataset and returns a report; building again resumes a build that was stopped.

    Raises UsageError or DatasetError; the message says what to do.
    """
    found = find_clips(plan.clips, plan.task, meanings=plan.meanings)
    notes = [*_passed_over(found.ignored), *lacking(found.lacks, plan.task)]
    return build_of(Material(clips=found.clips, notes=notes), plan, progress=progress)


def lacking(labels: Sequence[LabelName], task: Question) -> list[str]:
    """Returns a note about labels without a clip, if there are any."""
    if not labels:
        return []
    folders = "; ".join(f"{label}: {', '.join(task.folders(label))}" for label in labels)
    return [
        f"no clips of {', '.join(labels)}: a model trained on these never says so, and no score is given for it "
        f"(folders: {folders})"
    ]


def build_of(material: Material, plan: BuildSettings, *, progress: ProgressCallback = no_progress) -> BuildReport:
    """Builds a dataset from given clips; raises as `build_dataset` does."""
    _check_grid(plan)
    clips = _limited(material.clips, plan)
    csv_path = plan.sources or plan.clips / SOURCES_NAME
    named = read_groups(clips, csv_path, plan.task, is_required=plan.sources is not None)
    _prepare(plan.out)
    earlier = PreviousAnswers.of(plan.out, plan.task)
    more, more_named = _training_only(plan)
    for clip in (*clips, *more):
        if not (folder := frames_folder(plan.out, clip)).joinpath(MARKER_NAME).is_file():
            refuse_foreign_frames(folder)
    results = extract_all([*clips, *more], plan.out, plan.extract, jobs=plan.jobs, progress=progress)
    stored = {result.name: result.stored for result in results if result.stored}
    unreadable = {result.name: result.failure for result in results if result.failure}
    readable = [clip for clip in clips if clip.name in stored]
    added = [clip for clip in more if clip.name in stored]
    _refuse_failures(readable, unreadable, labels_in(clips), plan)
    _refuse_contradictions([*readable, *added], stored)
    groups, grouped_by, group_notes = find_groups(readable, stored, named, csv_path)
    splits = assign_splits(readable, groups, plan.split)
    added_groups = group_clips(added, stored, more_named)
    shown = _shown_elsewhere(added_groups, stored, {n: groups[n] for n, split in splits.items() if split != TRAIN})
    added = [clip for clip in added if clip.name not in shown]
    splits |= {clip.name: TRAIN for clip in added}
    groups |= {clip.name: added_groups[clip.name] for clip in added}
    examples = _examples([*readable, *added], stored, groups, splits, _Answering(plan, material, earlier))
    notes = [*material.notes, *group_notes, *_leaks(groups, splits), *_without(splits, plan.split)]
    notes += [*_left_out(shown, more), *earlier.set_aside(plan.out)]
    return BuildReport(
        out=plan.out,
        labels=[label.name for label in plan.task.labels if label.name in labels_in(readable)],
        examples=examples,
        grouped_by=grouped_by,
        unreadable=unreadable,
        damaged={name: clip.problems for name, clip in stored.items() if clip.problems},
        notes=[*notes, *(f"{name}: {note}" for name, clip in stored.items() for note in clip.notes)],
        num_cut=sum(result.fresh for result in results),
        num_kept=sum(bool(result.stored) and not result.fresh for result in results),
        manifest=_write(plan, examples, grouped_by),
    )


def _training_only(plan: BuildSettings) -> tuple[list[LabelledClip], dict[str, str]]:
    """Returns the clips of `also` and their recordings according to its CSV, both prefixed with `also/`."""
    if plan.also is None:
        return [], {}
    clips = find_clips(plan.also, plan.task, meanings=plan.meanings).clips
    path = plan.also / SOURCES_NAME
    named = group_by_csv(clips, path, plan.task) if path.is_file() else {}
    added = [replace(clip, name=f"also/{clip.name}", slug=f"also-{clip.slug}", split=TRAIN) for clip in clips]
    return added, {f"also/{name}": f"also/{source}" for name, source in named.items()}


def _shown_elsewhere(
    added: Mapping[str, str], stored: Mapping[str, StoredClip], held_out: Mapping[str, str]
) -> list[str]:
    """Returns the added clips that show the same recording as clips held out from training."""
    # Training clips are not included: they would link dissimilar clips to the held-out ones.
    groups = dict(added) | dict(held_out)
    joined = merge_identical(groups, {name: stored[name].video_digest for name in groups})
    joined = merge_similar(joined, {name: stored[name].fingerprint for name in groups}, known=held_out)
    taken = {joined[name] for name in held_out}
    return [name for name in added if joined[name] in taken]


def _left_out(shown: Sequence[str], more: Sequence[LabelledClip]) -> list[str]:
    if not shown:
        return []
    named = ", ".join(shown[:MOST_NAMED]) + (", ..." if len(shown) > MOST_NAMED else "")
    return [
        f"{len(shown)} of {len(more)} clips of --also were left out, as they show recordings of clips that are held "
        f"out for val, test or calibration: {named}"
    ]


def _passed_over(ignored: Mapping[str, int]) -> list[str]:
    plain = {"no ending", ".csv", ".txt", ".md", ".json"}
    return [
        f"{counted(count, f'{ending} file')} passed over" for ending, count in ignored.items() if ending not in plain
    ]


def _limited(clips: Sequence[LabelledClip], plan: BuildSettings) -> list[LabelledClip]:
    """Returns at most `limit` clips, chosen by the seed and as balanced as possible, sorted by name."""
    if plan.limit is None:
        return list(clips)
    if plan.limit < 2:
        raise UsageError(f"--limit must be at least 2, one clip of each label, not {plan.limit}")
    shuffled = random.Random(plan.split.seed).sample(list(clips), len(clips))
    by_label = {label: [clip for clip in shuffled if clip.label == label] for label in labels_in(clips)}
    chosen: list[LabelledClip] = []
    # The rarest label first: what it leaves of its share goes to the others.
    for number, label in enumerate(sorted(by_label, key=lambda label: len(by_label[label]))):
        chosen += by_label[label][: (plan.limit - len(chosen)) // (len(by_label) - number)]
    return sorted(chosen, key=lambda clip: clip.name)


def _check_grid(plan: BuildSettings) -> None:
    if not plan.family.reads(plan.extract.sampling):
        grid = ", ".join(f"{key}={value}" for key, value in plan.family.grid.items())
        raise UsageError(f"a dataset for {plan.family.title} is cut with {grid}; name another family, or that grid")


def _prepare(out: Path) -> None:
    """Fails early if the folder is not writable or holds files not written by Vigil; removes partial files."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a folder")
    with os_errors_as(out):
        refuse_foreign(out)
        out.mkdir(parents=True, exist_ok=True)
        for partial in own_partials(out):
            partial.unlink()
        for partial in out.glob(f"frames/*/*{PARTIAL}"):
            shutil.rmtree(partial)


def _refuse_failures(
    readable: Sequence[LabelledClip], unreadable: Mapping[str, str], wanted: Container[LabelName], plan: BuildSettings
) -> None:
    first = next(iter(unreadable.values()), "")
    if unreadable and plan.strict:
        raise DatasetError(f"{len(unreadable)} clips cannot be read and --strict was given; the first: {first}")
    for label in plan.task.lacks({clip.label for clip in readable}):
        if label in wanted:
            raise DatasetError(f"not one {label} clip can be read; the first problem: {first}")


def _refuse_contradictions(clips: Sequence[LabelledClip], stored: Mapping[str, StoredClip]) -> None:
    first: dict[str, LabelledClip] = {}
    for clip in clips:
        twin = first.setdefault(stored[clip.name].video_digest, clip)
        if twin.label != clip.label:
            raise DatasetError(
                f"{twin.name} and {clip.name} are the same file, once {twin.label} and once {clip.label}; remove one"
            )


def _leaks(groups: Mapping[str, str], splits: Mapping[str, Split]) -> list[str]:
    sides: dict[str, set[Split]] = defaultdict(set)
    for name, split in splits.items():
        sides[groups[name]].add(split)
    leaking = [group for group, found in sides.items() if len(found) > 1]
    if not leaking:
        return []
    return [
        f"{len(leaking)} groups (the first: {leaking[0]}) are in more than one split, as the train/ and test/ "
        "folders say: the score will be too good; --resplit makes an honest split"
    ]


def _without(splits: Mapping[str, Split], plan: SplitSettings) -> list[str]:
    """Returns notes about optional splits that were omitted, with the consequences."""
    if TRAIN not in splits.values():
        return []
    notes = []
    if plan.val_share is None and "val" not in splits.values():
        notes.append(
            "no val split: too few clips, or recordings too large, to hold some out of training; the last epoch is "
            "taken, not the best (--val-share 0.15 holds some out all the same)"
        )
    if plan.calibration_share is None and plan.folds is None and "calibration" not in splits.values():
        notes.append(
            "no calibration split: too few clips, or recordings too large; calibrate on a folder of other clips (vigil "
            "calibrate CLIPS), or on the scores of folds (--folds), or the probabilities stay as the model gives them"
        )
    return notes


def _examples(
    clips: Sequence[LabelledClip],
    stored: Mapping[str, StoredClip],
    groups: Mapping[str, str],
    splits: Mapping[str, Split],
    answering: "_Answering",
) -> dict[Split, list[TrainingExample]]:
    examples: dict[Split, list[TrainingExample]] = {split: [] for split in SPLITS}
    for clip in clips:
        split = splits[clip.name]
        for window in stored[clip.name].windows:
            # Windows added by the short-clip policy are for training only; other splits get what a camera gives.
            if split == "train" or window.kind == "window":
                examples[split].append(answering.answered(_example(clip, window, groups[clip.name], answering.task)))
    return examples


@dataclass(frozen=True, slots=True)
class _Answering:
    """Determines the target answer of a window: a text written about it, now or earlier, else by the policy."""

    plan: BuildSettings
    material: Material
    earlier: PreviousAnswers

    @property
    def task(self) -> Question:
        return self.plan.task

    def answered(self, example: TrainingExample) -> TrainingExample:
        """Returns the example with its answer and the author of it."""
        if self.plan.answers == "verdict":
            return example
        written = self.material.answers.get(example.clip, "")
        if has_description(written, self.task):
            example = replace(example, answer=written, described_by=self.material.author)
        elif self.plan.answers == "words":
            stock = template_answer(self.task, example.label, example.clip)
            example = replace(
                example, answer=stock.text(self.task), described_by=TEMPLATE if stock.description else NONE
            )
        return self.earlier.take(example, self.task)


def _example(clip: LabelledClip, window: StoredWindow, group: str, task: Question) -> TrainingExample:
    """Returns the example of a window, with the verdict alone as its answer."""
    folder = frames_folder(Path(), clip).as_posix()
    return TrainingExample(
        question=task.text,
        answer=TargetAnswer(clip.label, "").text(task),
        frames=tuple(f"{folder}/{file}" for file in window.files),
        clip=clip.name,
        label=clip.label,
        group=group,
        window=window.window,
        start_s=window.start_s,
        end_s=window.end_s,
        kind=window.kind,
    )


def _write(plan: BuildSettings, examples: Mapping[Split, Sequence[TrainingExample]], grouped_by: str) -> Manifest:
    with os_errors_as(plan.out):
        (plan.out / MANIFEST_NAME).unlink(missing_ok=True)
    present = [split for split in SPLITS if examples[split]]
    for split in SPLITS:
        if split in present:
            write_examples(split_path(plan.out, split), examples[split])
        else:
            split_path(plan.out, split).unlink(missing_ok=True)
    write_dataset_info(plan.out, present)
    built = Manifest(
        contract=Contract.of(plan.task, plan.extract.sampling),
        base_model="",
        template=plan.family.training_template,
        data_digest=dataset_digest(plan.out, examples),
        examples=sum(map(len, examples.values())),
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        vigil_version=vigil.__version__,
        training={"dataset": _provenance(plan, examples, grouped_by)},
        family=plan.family.name,
    )
    manifest = worded(built, examples)
    with os_errors_as(plan.out / MANIFEST_NAME):
        manifest.write(plan.out)
    return manifest


def _provenance(
    plan: BuildSettings, examples: Mapping[Split, Sequence[TrainingExample]], grouped_by: str
) -> dict[str, Any]:
    return {
        "answers": plan.answers,
        "also": plan.also is not None,
        "short": plan.extract.short,
        "reader": plan.extract.reader,
        "seed": plan.split.seed,
        "test_share": plan.split.test_share,
        "calibration_share": plan.split.calibration_share,
        "val_share": plan.split.val_share,
        "folds": plan.split.folds,
        "fold": plan.split.fold,
        "grouped_by": grouped_by,
        "clips": {split: len({example.clip for example in examples[split]}) for split in SPLITS},
        "examples": {split: dict(Counter(example.label for example in examples[split])) for split in SPLITS},
    }
