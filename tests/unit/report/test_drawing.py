"""Fonts that come and go after matplotlib has made its list of them, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder

HAN = "打架"
LOOK = """
import sys
from pathlib import Path
from vigil.report import drawing
drawing.CHINESE_FONTS = ("Vigil Test Han",)
face = drawing.chinese_typeface()
print("none" if face is None else Path(face.path).name)
"""
LATER = """
import shutil
drawing.LOOK_AGAIN_S = 1e-9
shutil.copy(sys.argv[1], sys.argv[2])
print(Path(drawing.chinese_typeface().path).name)
"""


def write_font(path: Path) -> Path:
    builder = FontBuilder(1000, isTTF=True)
    names = [".notdef", *(f"uni{ord(c):X}" for c in HAN)]
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(c): f"uni{ord(c):X}" for c in HAN})
    builder.setupGlyf({name: _square() for name in names})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Vigil Test Han", "styleName": "Regular"})
    builder.setupOS2(usWeightClass=400)
    builder.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    builder.save(path)
    return path


def _square() -> object:
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((900, 0), (900, 800), (100, 800)):
        pen.lineTo(corner)
    pen.closePath()
    return pen.glyph()


@pytest.fixture
def fonts(tmp_path: Path) -> Path:
    folder = tmp_path / "share" / "fonts"
    folder.mkdir(parents=True)
    return folder


def look(tmp_path: Path, program: str = LOOK, *words: str) -> list[str]:
    """What a new process finds, whose matplotlib keeps its list where the one before did."""
    own = {"XDG_DATA_HOME": str(tmp_path / "share"), "MPLCONFIGDIR": str(tmp_path / "mpl"), "HOME": str(tmp_path)}
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_font_that_is_installed_after_the_list_was_made_is_found(tmp_path: Path, fonts: Path) -> None:
    assert look(tmp_path) == ["none"]
    assert list((tmp_path / "mpl").glob("fontlist-*.json"))
    write_font(fonts / "han.ttf")
    assert look(tmp_path) == ["han.ttf"]


def test_a_font_that_is_installed_while_it_runs_is_found(tmp_path: Path, fonts: Path) -> None:
    font = write_font(tmp_path / "elsewhere" / "han.ttf")
    assert look(tmp_path, LOOK + LATER, str(font), str(fonts / "late.ttf")) == ["none", "late.ttf"]


def test_a_font_that_is_gone_since_is_none_and_a_file_that_is_no_font_harms_nothing(
    tmp_path: Path, fonts: Path
) -> None:
    font = write_font(fonts / "han.ttf")
    assert look(tmp_path) == ["han.ttf"]
    font.unlink()
    (fonts / "broken.ttf").write_bytes(b"no font")
    assert look(tmp_path) == ["none"]
