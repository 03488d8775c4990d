"""Shared by `vigil dataset build` and `import`: the meaning of folders, and the report on what was built."""

import typer

from vigil.cli.hints import runnable
from vigil.counted import counted
from vigil.dataset.answer_wording import authors, authors_text
from vigil.dataset.build import BuildReport
from vigil.dataset.clips import FolderMeaning
from vigil.dataset.examples import SPLITS, split_name
from vigil.errors import UsageError


def meaning_of(argument: str) -> tuple[str, FolderMeaning]:
    """The folder and meaning of a --label option; raises UsageError."""
    meanings: dict[str, FolderMeaning] = {"alarm": "alarm", "normal": "normal", "skip": "skip"}
    name, _, meaning = argument.rpartition("=")
    if not name or meaning not in meanings:
        raise UsageError(f"--label {argument!r}: write FOLDER=alarm, FOLDER=normal or FOLDER=skip")
    return name, meanings[meaning]


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
            alarms = sum(example.label == "alarm" for example in examples)
            clips, groups = ({getattr(each, key) for each in examples} for key in ("clip", "group"))
            windows, of = counted(len(examples), "window"), f"{counted(len(clips), 'clip')} in"
            typer.echo(
                f"{split_name(split)}: {windows} ({alarms} alarm, {len(examples) - alarms} normal) "
                f"of {of} {counted(len(groups), 'group')}; words from: {authors_text(authors(examples))}"
            )
    left_out = f", {len(report.unreadable)} LEFT OUT as unreadable" if report.unreadable else ""
    done = f"{counted(report.num_cut, 'clip')} cut, {report.num_kept} kept from before{left_out}"
    following = runnable(f"vigil dataset check {report.out}")
    typer.echo(f"{report.out}: {done}; grouped by {report.grouped_by}. Next: {following}")


def print_note(line: str) -> None:
    """Prints a line for people to stderr."""
    typer.echo(runnable(line), err=True)
