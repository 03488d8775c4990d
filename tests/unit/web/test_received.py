import base64
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from app.web.received import USUAL_CHARACTERS, check_length, checked

JPEG = b"\xff\xd8\xff\xe0 no picture yet"
HELD = f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Gradio keeps what is sent."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def test_a_file_that_was_sent_may_be_named(folder: Path) -> None:
    sent = {"path": str(folder / "a" / "clip.mp4"), "url": "http://127.0.0.1/en/file", "orig_name": "clip.mp4"}
    assert checked({"text": "", "files": [sent]}, may_embed=False) == {"text": "", "files": [sent]}


@pytest.mark.parametrize(
    "file",
    [
        {"path": "/etc/passwd"},
        {"path": "http://10.0.0.1/x.png"},
        {"path": None, "url": HELD},
        {"url": HELD},
        {"url": "http://10.0.0.1/x.png"},
        {"path": 7},
        {"path": ["x"], "url": None},
    ],
)
def test_no_other_file_may_be_named_and_none_held(folder: Path, file: dict[str, Any]) -> None:
    for value in (file, [file], {"files": [{"a": file}]}):
        with pytest.raises(gr.Error, match="was not sent"):
            checked(value, may_embed=False)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("scheme", ["DATA", "Data"])
def test_a_held_picture_is_one_however_its_scheme_is_written(folder: Path, scheme: str) -> None:
    file = {"path": str(folder / "x.png"), "url": HELD.replace("data", scheme)}
    with pytest.raises(gr.Error, match="was not sent"):
        checked(file, may_embed=False)


def test_the_picture_of_a_webcam_becomes_a_file_that_only_its_owner_reads(folder: Path) -> None:
    kept = Path(checked({"path": None, "url": HELD}, may_embed=True)["path"])
    assert kept.parent == folder and kept.read_bytes() == JPEG
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "file",
    [
        {"path": "sent.png"},
        {"path": "sent.png", "url": HELD},
        {"url": "http://10.0.0.1/x.png"},
        {"url": "data:text/html;base64,PGI+"},
        {"url": "data:image/png,raw"},
        {"url": "data:image/png;base64,a"},
        {"url": ["x"]},
    ],
)
def test_a_webcam_names_no_file_and_holds_nothing_else(folder: Path, file: dict[str, Any]) -> None:
    with pytest.raises(gr.Error):
        checked(file, may_embed=True)
    assert list(folder.iterdir()) == []


def test_an_input_is_as_long_as_its_component_takes() -> None:
    short, long, box = gr.Textbox(), gr.Textbox(max_length=100_000), gr.MultimodalTextbox(max_plain_text_length=90)
    for component, most in ((short, 0), (long, 100_000), (box, 90)):
        check_length("x" * (most + USUAL_CHARACTERS - 2), component)
        with pytest.raises(gr.Error, match="longer"):
            check_length("x" * (most + USUAL_CHARACTERS), component)
        with pytest.raises(gr.Error, match="longer"):
            check_length([[]] * (most + USUAL_CHARACTERS), component)


def test_a_question_in_chinese_is_measured_by_its_characters() -> None:
    box = gr.MultimodalTextbox(max_plain_text_length=100_000)
    check_length({"text": "打" * 100_000, "files": []}, box)
