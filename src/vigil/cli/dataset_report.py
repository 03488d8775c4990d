"""Shared by `vigil dataset build` and `import`: the meaning of folders, and the report on what was built."""

from collections import Counter
from collections.abc import Sequence

import typer

from vigil.cli.hints import runnable
from vigil.counted import counted
from vigil.dataset.answer_wording import authors, authors_text
from vigil.dataset.build import BuildReport
from vigil.dataset.clips import SKIP, FolderMeaning
from vigil.dataset.examples import SPLITS, TrainingExample, split_name
from vigil.errors import UsageError
from vigil.questions import LabelName, Question


def meaning_of(argument: str, task: Question) -> tuple[str, FolderMeaning]:
    """The folder and meaning of a --label option, a label of the task or `skip`; raises UsageError."""
    meanings = [*task.words(), SKIP]
    name, _, meaning = argument.rpartition("=")
    if not name or meaning not in meanings:
        *choices, last = (f"FOLDER={each}" for each in meanings)
        raise UsageError(f"--label {argument!r}: write {', '.join(choices)} or {last}")
    return name, meaning


def show_build(report: BuildReport) -> None:
    """Reports what a build produced, and what is worth checking."""
    for name, problems in report.damaged.items():
        print_note(f"damaged, used as far as it goes: {name}: {'; '.join(problems)}")
    for reason in report.unreadable.values():
        print_note(f"left out: {reason}")
    for note in report.notes:
        print_note(f"note: {note}")
    for split in SPLITS:
        examples = report.examples[split]
        if examples:
            clips, groups = ({getattr(each, key) for each in examples} for key in ("clip", "group"))
            windows, of = counted(len(examples), "window"), f"{counted(len(clips), 'clip')} in"
            typer.echo(
                f"{split_name(split)}: {windows} ({_label_counts(examples, report.labels)}) "
                f"of {of} {counted(len(groups), 'group')}; words from: {authors_text(authors(examples))}"
            )
    left_out = f", {len(report.unreadable)} LEFT OUT as unreadable" if report.unreadable else ""
    done = f"{counted(report.num_cut, 'clip')} cut, {report.num_kept} kept from before{left_out}"
    following = runnable(f"vigil dataset check {report.out}")
    typer.echo(f"{report.out}: {done}; grouped by {report.grouped_by}. Next: {following}")


def _label_counts(examples: Sequence[TrainingExample], labels: Sequence[LabelName]) -> str:
    counts = Counter(example.label for example in examples)
    return ", ".join(f"{counts[label]} {label}" for label in labels)


def print_note(line: str) -> None:
    """Prints a line for people to stderr."""
    typer.echo(runnable(line), err=True)
