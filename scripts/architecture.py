"""Draws docs/architecture.svg: the packages of Vigil as layers, and which of them import which.

    .venv/bin/python scripts/architecture.py              draw it again
    .venv/bin/python scripts/architecture.py --check      exit with 1 if the committed picture is out of date

`FLOORS` is the one list of the layers; tests/unit/test_architecture.py holds the imports to it. An import that follows
from others is left out of the picture: if a imports b, and b imports c, no arrow goes from a to c. The same sources
always give the same picture.
"""

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"

FLOORS = (
    "vigil.errors vigil.counted vigil.csv_text vigil.special_tokens vigil.tiny",
    "vigil.file_names vigil.hosts",
    "vigil.config vigil.files vigil.environments vigil.frames vigil.events vigil.observation vigil.label_tokens",
    "vigil.answer_schema vigil.journal_file",
    "vigil.windows vigil.questions vigil.picture_change vigil.person_detector vigil.download vigil.gpus vigil.masks",
    "vigil.verdict vigil.scene vigil.sentence_question",
    "vigil.manifest vigil.store vigil.rules",
    "vigil.sources vigil.calibration",
    "vigil.models vigil.alerts",
    "vigil.judge",
    "vigil.dataset vigil.serving vigil.chat vigil.actions",
    "vigil.synth vigil.score vigil.training vigil.history",
    "vigil.parity vigil.report",
    "vigil.watch",
    "vigil.analysis",
    "vigil.cli",
    "tools",
    "app",
)
"""The layers from the lowest up. A room imports itself and lower floors, never its own floor or a higher one."""

SCRIPTS = ("vigil.training_env", "vigil.serving_env")
"""Programs that run under the Python of another environment: nothing imports them, and they import nothing of Vigil."""

OPEN = ("vigil", "vigil.__main__")
"""The entry point and the version, which every room may import."""

Edges = Mapping[str, frozenset[str]]
Node = tuple[str, int]
"""A room on its own floor, or on a higher one the place where the line to that room passes through."""

ROW_PX, BOX_PX, GAP_PX, LINE_PX, MARGIN_PX, LETTER_PX = 66, 30, 20, 16, 24, 7.6
COLOURS = ("#4e79a7", "#d37295", "#59a14f", "#b6792b", "#8a6fb5", "#2a9d9d", "#c0504d", "#7f8a2b", "#7a7f87")
SWEEPS = 24

STYLE = """
  text { font: 13px system-ui, "Segoe UI", "Helvetica Neue", sans-serif; fill: #1f2430; text-anchor: middle }
  .page { fill: #ffffff } .floor { fill: #f3f5f8 } .room { fill: #ffffff; stroke: #6b7280; stroke-width: 1.2 }
  .line { fill: none; stroke-width: 1.6; opacity: .85 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ef } .page { fill: #14171c } .floor { fill: #1c2027 }
    .room { fill: #262b34; stroke: #9aa3b2 }
  }
"""


def modules() -> Iterator[tuple[str, Path]]:
    """Name and file of every module of `src/vigil`, `app` and `tools`."""
    package = ROOT / "src" / "vigil"
    for top, base in ((package, package.parent), (ROOT / "app", ROOT), (ROOT / "tools", ROOT)):
        for path in sorted(top.rglob("*.py")):
            name = ".".join(path.relative_to(base).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def imported(path: Path, known: frozenset[str]) -> Iterator[str]:
    """The modules that a file imports, inside functions too; those of `known` by their full name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module


def room_of(module: str) -> str:
    """The room of a module: a module or package directly below `vigil`, or `app`, or `tools`."""
    parts = module.split(".")
    return parts[0] if parts[0] in ("app", "tools") else ".".join(parts[:2])


@cache
def imports() -> Edges:
    """Which rooms each room imports."""
    known = frozenset(name for name, _ in modules())
    found: dict[str, set[str]] = {room: set() for room in _floor_of()}
    for name, path in modules():
        room = room_of(name)
        if room in found:
            found[room] |= {room_of(module) for module in imported(path, known) if module in known}
    return {room: frozenset(there & found.keys()) - {room} for room, there in found.items()}


def direct(edges: Edges) -> Edges:
    """The edges that do not follow from others."""

    def below(room: str) -> set[str]:
        return {room}.union(*(below(lower) for lower in edges[room]))

    def follows(room: str, lower: str) -> bool:
        return any(lower in below(other) for other in edges[room] - {lower})

    return {room: frozenset(low for low in there if not follows(room, low)) for room, there in edges.items()}


def _floor_of() -> dict[str, int]:
    return {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms.split()}


def _links(edges: Edges, floor_of: Mapping[str, int]) -> list[tuple[Node, Node]]:
    """The lines from floor to floor; all lines to one room share their way."""
    links = set()
    for room, there in edges.items():
        for lower in there:
            steps = range(floor_of[room], floor_of[lower], -1)
            for step in steps:
                start = (room, step) if step == floor_of[room] else (lower, step)
                links.add((start, (lower, step - 1)))
    return sorted(links)


class Layout:
    """Where each node stands: `x` maps it to its centre in pixels."""

    def __init__(self, links: Sequence[tuple[Node, Node]], floor_of: Mapping[str, int]) -> None:
        self.floor_of = floor_of
        nodes = {*floor_of.items(), *(node for link in links for node in link)}
        self._rows = [sorted(node for node in nodes if node[1] == floor) for floor in range(len(FLOORS))]
        self._around: dict[Node, list[Node]] = {node: [] for node in sorted(nodes)}
        for upper, lower in links:
            self._around[upper].append(lower)
            self._around[lower].append(upper)
        self.x: dict[Node, float] = {}
        for row in self._rows:
            self._place(row, [0.0] * len(row))
        for sweep in range(SWEEPS):
            self._settle(reverse=sweep % 2 == 1, reorder=sweep < SWEEPS * 2 // 3)
        self._start_at_the_margin()

    def is_room(self, node: Node) -> bool:
        return self.floor_of[node[0]] == node[1]

    def width_px(self, node: Node) -> float:
        return len(node[0].removeprefix("vigil.")) * LETTER_PX + 20 if self.is_room(node) else LINE_PX

    def _settle(self, *, reverse: bool, reorder: bool) -> None:
        """Moves every node towards the middle of those that it is linked to, floor by floor."""
        for row in reversed(self._rows) if reverse else self._rows:
            wanted = {node: self._middle(node) for node in row}
            if reorder:
                row.sort(key=lambda node: (wanted[node], node))
            self._place(row, [wanted[node] for node in row])

    def _middle(self, node: Node) -> float:
        around = [self.x[other] for other in self._around[node]]
        return sum(around) / len(around) if around else self.x[node]

    def _place(self, row: Sequence[Node], wanted: Sequence[float]) -> None:
        """The mean of pushing right from the left and left from the right: both keep the distances."""
        offsets = [0.0]
        for left, right in pairwise(row):
            offsets.append(offsets[-1] + (self.width_px(left) + self.width_px(right)) / 2 + GAP_PX)
        free = [want - offset for want, offset in zip(wanted, offsets, strict=True)]
        for index, (node, offset) in enumerate(zip(row, offsets, strict=True)):
            self.x[node] = offset + (max(free[: index + 1]) + min(free[index:])) / 2

    def _start_at_the_margin(self) -> None:
        left = min(x - self.width_px(node) / 2 for node, x in self.x.items())
        self.x = {node: round(x - left + 2 * MARGIN_PX, 1) for node, x in self.x.items()}

    def right_px(self) -> int:
        return round(max(x + self.width_px(node) / 2 for node, x in self.x.items()))


def draw() -> str:
    """The picture as SVG, drawn from the imports as they are now."""
    floor_of = _floor_of()
    links = _links(direct(imports()), floor_of)
    layout = Layout(links, floor_of)
    width, height = layout.right_px() + 2 * MARGIN_PX, len(FLOORS) * ROW_PX + 2 * MARGIN_PX
    colour_of = {room: COLOURS[index % len(COLOURS)] for index, room in enumerate(floor_of)}
    lines = [_line(layout, upper, lower, colour_of[lower[0]]) for upper, lower in links]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            "<title>The packages of Vigil: each imports from those that its lines lead down to</title>",
            "<!-- Drawn by scripts/architecture.py; do not edit. -->",
            f"<style>{STYLE}</style>",
            _markers(),
            f'<rect class="page" width="{width}" height="{height}"/>',
            *(_floor(floor, width) for floor in range(len(FLOORS))),
            *lines,
            *(_room(layout, node) for node in floor_of.items()),
            "</svg>\n",
        ]
    )


def _middle_px(floor: int) -> float:
    return MARGIN_PX + (len(FLOORS) - 1 - floor + 0.5) * ROW_PX


def _markers() -> str:
    heads = (
        f'<marker id="h{index}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
        for index, colour in enumerate(COLOURS)
    )
    return f"<defs>{''.join(heads)}</defs>"


def _floor(floor: int, width: int) -> str:
    top, wide = _middle_px(floor) - ROW_PX / 2 + 4, width - 2 * MARGIN_PX
    return f'<rect class="floor" x="{MARGIN_PX}" y="{top}" width="{wide}" height="{ROW_PX - 8}" rx="6"/>'


def _line(layout: Layout, upper: Node, lower: Node, colour: str) -> str:
    """One link; through the floors between, a line goes straight down."""
    half = BOX_PX / 2
    x0, y0 = layout.x[upper], _middle_px(upper[1]) + half
    x1, y1 = layout.x[lower], _middle_px(lower[1]) - half
    bend = (y1 - y0) / 2
    path = f"M{x0} {y0}C{x0} {y0 + bend} {x1} {y1 - bend} {x1} {y1}"
    head = f' marker-end="url(#h{COLOURS.index(colour)})"' if layout.is_room(lower) else ""
    tail = "" if layout.is_room(lower) else f"V{y1 + BOX_PX}"
    return f'<path class="line" d="{path}{tail}" stroke="{colour}"{head}/>'


def _room(layout: Layout, node: Node) -> str:
    x, y, wide = layout.x[node], _middle_px(node[1]), layout.width_px(node)
    name = node[0].removeprefix("vigil.")
    return (
        f'<rect class="room" x="{x - wide / 2:.1f}" y="{y - BOX_PX / 2}" width="{wide:.1f}" height="{BOX_PX}" rx="5"/>'
        f'<text x="{x}" y="{y + 4.5}">{name}</text>'
    )


def main(arguments: Sequence[str]) -> int:
    """Draws the picture, or with `--check` compares it; returns the exit code."""
    if arguments not in ([], ["--check"]):
        print(f"architecture.py: there is only --check, not {' '.join(arguments)!r}", file=sys.stderr)
        return 2
    if not arguments:
        PICTURE.write_text(draw(), encoding="utf-8")
        return 0
    if PICTURE.is_file() and PICTURE.read_text(encoding="utf-8") == draw():
        return 0
    print("docs/architecture.svg is out of date; run: python scripts/architecture.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
