"""Imports point one way, and the core stays light."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "transformers", "llamafactory", "vllm", "gradio", "fastapi")
SRC = Path(__file__).resolve().parents[2] / "src" / "vigil"


def test_the_core_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom importlib import import_module\nfrom vigil.cli.lazy_group import SUMMARIES\n"
        "for name in SUMMARIES:\n    import_module(f'vigil.cli.{name}')\n"
        f"found = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.exit(', '.join(found) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_no_module_is_a_bag() -> None:
    bags = {"utils", "common", "helpers", "manager", "misc", "core"}
    assert [path for path in SRC.rglob("*.py") if path.stem in bags or path.parent.name in bags] == []
