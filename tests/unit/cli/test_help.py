"""`--help` of every command is plain text, grouped where it is long, and as tests/golden/help holds it."""

from collections.abc import Iterator

import pytest
import typer

from golden_files import GOLDEN, check_golden
from vigil.cli.lazy_group import SUMMARIES
from vigil.cli.main import app, main

COLUMNS = 100
MOST_WITHOUT_HEADINGS = 12


def commands() -> Iterator[tuple[str, ...]]:
    """`vigil` itself, its commands, and the commands of its groups."""
    yield ()
    group = typer.main.get_command(app)
    context = group.make_context("vigil", [], resilient_parsing=True)
    for name in SUMMARIES:
        if name in ("web", "service"):  # their options are those of the pages: test_web.py
            continue
        yield (name,)
        command = group.get_command(context, name)  # type: ignore[attr-defined]
        yield from ((name, each) for each in getattr(command, "commands", ()))


def help_of(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    with pytest.raises(SystemExit) as ended:
        app([*words, "--help"], prog_name="vigil")
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", list(commands()), ids=lambda words: "-".join(("vigil", *words)))
def test_the_help_of_a_command_is_as_it_was_reviewed(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_of(words, monkeypatch, capsys)
    assert max(map(len, text.splitlines())) <= COLUMNS
    check_golden(f"help/{'-'.join(('vigil', *words))}.txt", text)


def test_no_golden_help_is_of_a_command_that_is_gone() -> None:
    names = {f"{'-'.join(('vigil', *words))}.txt" for words in commands()}
    assert {path.name for path in (GOLDEN / "help").iterdir()} == names


@pytest.mark.parametrize("words", [each for each in commands() if each], ids="-".join)
def test_long_lists_of_options_have_headings_and_no_option_is_lost(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_of(words, monkeypatch, capsys)
    parameters = [line for line in text.splitlines() if line.startswith("  -")]
    sections = text.split("Options:")
    headings = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert len(sections) == 2
    assert len(parameters) <= MOST_WITHOUT_HEADINGS or len(headings) >= 3, headings
    group = typer.main.get_command(app)
    context = group.make_context("vigil", [], resilient_parsing=True)
    command = group.get_command(context, words[0])  # type: ignore[attr-defined]
    command = command.commands[words[1]] if words[1:] else command
    named = {option for param in command.params for option in param.opts if option.startswith("--")}
    assert named <= set(text.replace(",", " ").split())


def test_a_value_that_is_none_of_the_choices_is_told_without_the_name_of_an_exception(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["synth", "clips", "--task", "nonsense"]) == 2
    assert "Invalid value for '--task': 'nonsense' is not one of" in capsys.readouterr().err
