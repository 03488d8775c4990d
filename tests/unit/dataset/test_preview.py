import json
import re
import shutil
from pathlib import Path

import pytest

from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.examples import split_path
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.preview import write_preview
from vigil.errors import UsageError
from vigil.frames import FrameSampling
from vigil.questions import load_question


@pytest.fixture(scope="module")
def built(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data")
    settings = ExtractSettings(sampling=FrameSampling(max_pixels=12288))
    build_dataset(BuildSettings(clips=clips, out=out, task=load_question("fight"), extract=settings, limit=8))
    return out


@pytest.fixture
def data(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "data")


def test_the_page_shows_every_window_and_needs_no_other_file(data: Path) -> None:
    page = write_preview(data, data / "preview.html", limit=None).read_text()
    windows = sum(len(json.loads(split_path(data, split).read_text())) for split in ("train", "test"))
    assert page.count("<article") == page.count("data:image/jpeg;base64,") == windows
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "<script" not in page


def test_names_and_texts_cannot_become_markup(data: Path) -> None:
    path = split_path(data, "train")
    rows = json.loads(path.read_text())
    rows[0]["clip"] = '"><script>alert(1)</script>'
    rows[0]["messages"][1]["content"] = "是的，<img src=x onerror=alert(1)>"
    path.write_text(json.dumps(rows))
    page = write_preview(data, data / "preview.html", limit=None).read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_a_limit_chooses_evenly_and_missing_frames_are_said(data: Path) -> None:
    shutil.rmtree(data / "frames" / "alarm")
    page = write_preview(data, data / "preview.html", limit=4).read_text()
    assert page.count("<article") == 4
    assert "is missing" in page
    with pytest.raises(UsageError):
        write_preview(data, data / "preview.html", limit=-1)
