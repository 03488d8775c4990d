import os
import string
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vigil.file_names import NAME_BYTES, ROOMY_BYTES, beside, file_name, in_gb18030, readable, readable_names, shortened

GBK = os.fsdecode("打架视频".encode("gb18030"))
NAMES = st.binary(min_size=1, max_size=60).filter(lambda raw: b"/" not in raw and b"\0" not in raw).map(os.fsdecode)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("打架/a b (1),v2 #3.mp4", "打架/a b (1),v2 #3.mp4"),
        (f"{GBK}.mp4", "打架视频.mp4"),
        (f"打架/{GBK}/{GBK}.mp4", "打架/打架视频/打架视频.mp4"),
        (os.fsdecode(b"caf\xe9.mp4"), "caf\\xe9.mp4"),
        (os.fsdecode("斗殴斗殴".encode()[:-1] + b".mp4"), "斗殴斗\\xe6\\xae.mp4"),
        ("a\x1b[2J\n.mp4", "a\\x1b[2J\\x0a.mp4"),
        ("half \ud83d.mp4", "half \\ud83d.mp4"),
    ],
)
def test_a_name_is_read_as_people_wrote_it(name: str, text: str) -> None:
    assert readable(name) == text


@given(st.one_of(NAMES, ANY_TEXT))
def test_what_is_readable_can_be_written_and_stays_as_it_is(name: str) -> None:
    text = readable(name)
    text.encode()
    assert readable(text) == text


@given(st.lists(NAMES, unique=True))
def test_different_names_are_read_differently(names: list[str]) -> None:
    told = readable_names([*names, *map(readable, names)])
    assert set(told) == {*names, *map(readable, names)} and len(set(told.values())) == len(told)


def test_a_name_that_is_text_keeps_it_where_another_one_is_read_the_same() -> None:
    told = readable_names([f"{GBK}.mp4", "打架视频.mp4"])
    assert told == {"打架视频.mp4": "打架视频.mp4", f"{GBK}.mp4": "\\xb4\\xf2\\xbc\\xdc\\xca\\xd3Ƶ.mp4"}


@given(st.one_of(NAMES, ANY_TEXT))
@example(":.")
def test_a_file_can_be_named_after_any_text(text: str) -> None:
    name = file_name(text)
    assert 0 < len(name.encode()) <= ROOMY_BYTES
    assert not name.startswith((".", "-")) and all(c not in name for c in "/\0 ")


@given(st.lists(st.text(string.ascii_letters + " /._-打", max_size=6), unique=True, max_size=20))
def test_files_that_are_about_different_texts_have_different_names(texts: list[str]) -> None:
    assert len({file_name(text) for text in texts}) == len(texts)


def test_an_ordinary_name_stays_and_a_long_one_says_that_it_was_cut() -> None:
    assert file_name("fight-lora_v2.1") == "fight-lora_v2.1"
    assert file_name("打架") == "打架"
    assert file_name("斗" * 83) == shortened("斗" * 83) != file_name("斗" * 82)
    assert shortened("斗" * 83).startswith("斗" * 37 + "-") and len(shortened("斗" * 83).encode()) == ROOMY_BYTES


@pytest.mark.parametrize("name", ["a.json", "斗" * 83 + ".json", GBK * 15 + "x" * 60])
def test_a_file_beside_another_can_be_made(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    partial = beside(tmp_path / name, ".partial")
    partial.touch()
    assert partial.name.endswith(".partial") and len(os.fsencode(partial.name)) <= NAME_BYTES
    assert len(list(tmp_path.iterdir())) == 2


def test_a_chinese_name_is_also_known_as_an_archive_kept_it() -> None:
    assert in_gb18030("打架视频.mp4") == f"{GBK}.mp4"
    assert in_gb18030("a.mp4") is None and in_gb18030(GBK) is None
