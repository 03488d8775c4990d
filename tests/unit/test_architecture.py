"""Imports point one way, names are unique, and the core stays light."""

import ast
import subprocess
import sys
from collections import Counter

import pytest
from scripts import architecture
from scripts.architecture import FLOORS, OPEN, ROOT, SCRIPTS, imported, modules, room_of

from waiting import HANG_S

HEAVY = ("torch", "transformers", "llamafactory", "vllm", "gradio", "fastapi")
SRC = ROOT / "src" / "vigil"
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms.split()}


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
        "import sys\nfrom importlib import import_module\nfrom vigil.cli.lazy_group import SUMMARIES, module_of\n"
        "for name in SUMMARIES:\n    import_module(module_of(name))\n"
        f"found = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.exit(', '.join(found) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 0, done.stderr


def test_no_module_is_a_bag() -> None:
    bags = {"utils", "common", "helpers", "manager", "misc", "core"}
    assert [path for path in SRC.rglob("*.py") if path.stem in bags or path.parent.name in bags] == []


def test_the_committed_picture_is_what_the_script_draws(capsys: pytest.CaptureFixture[str]) -> None:
    assert architecture.main(["--check"]) == 0, capsys.readouterr().err


def test_the_picture_shows_every_room_and_leaves_out_what_follows() -> None:
    edges = {"app": frozenset({"cli", "errors"}), "cli": frozenset({"errors"}), "errors": frozenset[str]()}
    assert architecture.direct(edges) == {**edges, "app": frozenset({"cli"})}
    drawn = architecture.draw()
    assert drawn == architecture.draw()
    assert [room for room in FLOOR if f">{room.removeprefix('vigil.')}</text>" not in drawn] == []
