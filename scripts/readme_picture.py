"""Draws the README's picture from a finished demo: windows of the test split, and what base and LoRA said of them.

.venv/bin/python scripts/readme_picture.py demo-out docs/demo.png
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from PIL import Image

ROWS = 6
COLOURS = {"alarm": "#c0392b", "normal": "#2e7d32"}


def main(demo: Path, out: Path) -> None:
    examples = json.loads((demo / "data" / "anomaly-test.json").read_text(encoding="utf-8"))
    said = {name: _verdicts(demo / f"score-{name}" / f"verdicts-{name}.jsonl") for name in ("base", "lora")}
    full = [e for e in examples if len(e["videos"][0]) == 6 and e["window"] == 0]
    rows = [e for label in ("alarm", "normal") for e in _spread([e for e in full if e["label"] == label], ROWS // 2)]
    figure, axes = plt.subplots(len(rows), 7, figsize=(10.4, 1.14 * len(rows)), dpi=90)
    for row, example in zip(axes, rows, strict=True):
        _draw_row(row, demo, example, {name: verdicts[_key(example)] for name, verdicts in said.items()})
    figure.tight_layout(pad=0.3, w_pad=0.15, h_pad=0.15)
    figure.savefig(out)
    with Image.open(out) as picture:
        picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=160).save(out, optimize=True)


def _verdicts(path: Path) -> dict[tuple[str, int], float]:
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(r["clip"], r["window"]): r["p_alarm"] for r in records if r.get("p_alarm") is not None}


def _key(example: dict[str, Any]) -> tuple[str, int]:
    return example["clip"], example["window"]


def _spread(examples: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    step = len(examples) // count
    return [examples[i * step] for i in range(count)]


def _draw_row(row: Any, demo: Path, example: dict[str, Any], p_alarm: dict[str, float]) -> None:
    for cell, frame in zip(row, example["videos"][0], strict=False):
        cell.imshow(plt.imread(demo / "data" / frame))
    for cell in row:
        cell.axis("off")
    words = row[-1]
    words.set_xlim(0, 1)
    words.text(0.05, 0.78, example["label"], color=COLOURS[example["label"]], fontsize=11, weight="bold")
    words.text(0.05, 0.48, f"base  p={p_alarm['base']:.2f}", fontsize=10, color="#777777")
    words.text(0.05, 0.16, f"LoRA p={p_alarm['lora']:.2f}", fontsize=10, weight="bold")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
