import subprocess
import sys
from pathlib import Path

import pytest

from vigil.serving.process import free_port


@pytest.mark.parametrize(("inside", "why"), [((), "holds no videos"), (("fight/a.mp4",), "one class only")])
def test_clips_that_nothing_can_be_learnt_from_are_refused_before_any_work(
    tmp_path: Path, inside: tuple[str, ...], why: str
) -> None:
    for name in inside:
        (tmp_path / "clips" / name).parent.mkdir(parents=True)
        (tmp_path / "clips" / name).write_bytes(b"0")
    (tmp_path / "clips").mkdir(exist_ok=True)
    words = ["--no-web", "--clips", "clips", "--out", "out", "--port", str(free_port())]
    told = subprocess.run(
        [sys.executable, "-m", "vigil.demo", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (told.returncode, why in " ".join(told.stderr.split())) == (1, True)
    assert list((tmp_path / "out").iterdir()) == []
