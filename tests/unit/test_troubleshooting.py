"""The messages in docs/troubleshooting.md are messages that the program really prints."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts.architecture import ROOT, modules

PAGE = ROOT / "docs" / "troubleshooting.md"


def messages() -> list[str]:
    """What is quoted or in italics in the first cell of each row."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [line.split(" | ")[0] for line in lines if line.startswith("| ")]
    return [found[1] for cell in cells for found in re.finditer(r"[`*]([^`*]{12,})[`*]", cell)]


def literals(path: Path) -> Iterator[str]:
    """Every string constant of a module; what an f-string fills in stands as a gap."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def printed() -> str:
    texts = [text for _, path in modules() for text in literals(path)]
    others = [*ROOT.glob("scripts/*.sh"), *ROOT.glob("app/texts/*.en.yaml")]
    return "\n".join([*texts, *(path.read_text(encoding="utf-8") for path in others)])


def test_the_page_has_at_least_twenty_messages() -> None:
    assert len(messages()) >= 20


@pytest.mark.parametrize("message", messages())
def test_a_message_on_the_page_is_in_the_sources(message: str, printed: str) -> None:
    parts = [part.strip(" ();") for part in message.split("...")]
    assert [part for part in parts if part and part not in printed] == []
