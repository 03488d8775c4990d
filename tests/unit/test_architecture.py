"""Imports point one way, names are unique, and the core stays light."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

HEAVY = ("torch", "transformers", "llamafactory", "vllm", "gradio", "fastapi")
ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "vigil"

# From below: a room imports from its own package and from the floors below it, never from its own floor or above.
FLOORS = (
    "vigil.errors vigil.counted vigil.csv_text vigil.verdict vigil.tiny",
    "vigil.file_names vigil.hosts",
    "vigil.config vigil.files vigil.environments vigil.frames vigil.events vigil.label_tokens",
    "vigil.windows vigil.questions vigil.store vigil.rules vigil.download vigil.gpus",
    "vigil.manifest",
    "vigil.sources vigil.calibration",
    "vigil.models",
    "vigil.judge",
    "vigil.dataset vigil.serving vigil.chat",
    "vigil.synth vigil.score vigil.training",
    "vigil.parity vigil.report",
    "vigil.watch",
    "vigil.analysis",
    "vigil.cli",
    "tools",
    "app",
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms.split()}

# Programs for other environments' Pythons: nothing imports them, and they import nothing of Vigil.
SCRIPTS = ("vigil.training_env", "vigil.serving_env")

# The entry point, and the version that everybody may read.
OPEN = ("vigil", "vigil.__main__")


def modules() -> Iterator[tuple[str, Path]]:
    for top, base in ((SRC, SRC.parent), (ROOT / "app", ROOT), (ROOT / "tools", ROOT)):
        for path in sorted(top.rglob("*.py")):
            name = ".".join(path.relative_to(base).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def imported(path: Path, known: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[0] if parts[0] in ("app", "tools") else ".".join(parts[:2])


def test_imports_point_downwards() -> None:
    known = frozenset(name for name, _ in modules())
    wrong = []
    for name, path in modules():
        here = room_of(name)
        for there in {room_of(module) for module in imported(path, known) if module in known} - {here, *OPEN}:
            if here in SCRIPTS or there in SCRIPTS:
                wrong.append(f"{name} imports {there}: scripts of other environments stand alone")
            elif here not in OPEN and FLOOR[there] >= FLOOR[here]:
                wrong.append(f"{name} (floor {FLOOR[here]}) imports {there} (floor {FLOOR[there]})")
    assert wrong == []


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(name) for name, _ in modules()} - {*OPEN, *SCRIPTS}
    assert rooms == set(FLOOR)


def test_every_class_has_a_name_of_its_own() -> None:
    found = Counter(
        node.name
        for _, path in modules()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in found.items() if count > 1] == []


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
