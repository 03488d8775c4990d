"""docs/README.md lists every page, and the files that it names exist."""

import re

from scripts.architecture import ROOT

INDEX = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")


def test_every_page_is_listed_once() -> None:
    listed = re.findall(r"^- \[([\w.-]+\.md)\]\(\1\):", INDEX, re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md")


def test_every_path_that_the_index_names_exists() -> None:
    named = re.findall(r"`((?:src|app|configs|docs|scripts|tests|tools)/[\w./-]*)`", INDEX)
    assert len(named) > 60
    assert [path for path in named if not (ROOT / path).exists()] == []
