"""Gradio is imported without the stub files that it writes for editors."""

import inspect
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from app.web.gradio_stubs import skip_gradio_stubs

IMPORT = """
from app.web.gradio_stubs import skip_gradio_stubs
with skip_gradio_stubs():
    import gradio
from pathlib import Path
print(gradio.Textbox(value="a").value, Path(gradio.__file__).parent)
"""


def test_no_stub_is_written_and_gradio_works(tmp_path: Path) -> None:
    spec = find_spec("gradio")
    assert spec is not None and spec.origin is not None
    copy = shutil.copytree(
        Path(spec.origin).parent, tmp_path / "gradio", ignore=shutil.ignore_patterns("*.pyi", "frontend")
    )
    told = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{IMPORT}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["a", str(copy)]
    assert not list(copy.rglob("*.pyi"))


def test_the_pages_load_gradio_only_where_its_stubs_are_skipped() -> None:
    script = "import sys, app.server; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_everybody_else_is_told_the_file() -> None:
    before = inspect.getfile
    with pytest.raises(ZeroDivisionError), skip_gradio_stubs():
        assert inspect.getfile(Path).endswith("pathlib.py")
        raise ZeroDivisionError
    assert inspect.getfile is before
