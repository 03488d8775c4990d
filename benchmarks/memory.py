"""Whether a memory in the question helps: the same films scored with `observe.memory` 0 and 3.

Films are composed of drawn clips with fights at known seconds, and watched twice by one served model, window by window.
A memory changes the question, so a model that was trained on the bare question is off its ground: that is part of what
is measured. Observations are in words.

    vigil serve BASE --lora NAME=saves/tiny_lora ...
    python benchmarks/memory.py --url http://127.0.0.1:8000/v1 --model NAME --films 4 --seconds 300

Needs .venv and a server. Prints a table and, last, a line `ratio NAME VALUE`.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from vigil.cli.main import main as vigil

CONFIG = """
in_flight: 1
observe: {{every_s: 6, changed_s: 2, still_s: 12, form: words, language: {language}, memory: {memory},
          camera_tokens_per_min: 1000000}}
"""


def run(*words: object) -> None:
    """Runs a command of `vigil`."""
    if vigil([str(word) for word in words]) != 0:
        raise SystemExit(f"vigil {words[0]} failed")


def score(folder: Path, films: list[Path], *, memory: int, words: argparse.Namespace) -> dict[str, Any]:
    """The score of all films with so much memory."""
    config, out = folder / f"memory-{memory}.yaml", folder / f"score-{memory}.json"
    text = CONFIG.format(memory=memory, language=words.language)
    config.write_text(text if memory else text.replace("memory: 0,", ""), encoding="utf-8")
    truth = folder / "truth.csv"
    rows = [line for film in films for line in film.with_suffix(".csv").read_text().splitlines()[1:]]
    truth.write_text("\n".join(["video,onset_s,end_s,label,clip", *rows]) + "\n", encoding="utf-8")
    model = ["--model", words.model] if words.model else []
    key = ["--key-file", words.key_file] if words.key_file else []
    where = ["--url", words.url, *model, *key, "--watch-config", config, "--out", folder / "out", "--json", out]
    run("score", "--timeline", truth, *films, *where, "--min-label-probability", "0.01")
    scored: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return scored


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", default="")
    parser.add_argument("--key-file", type=Path)
    parser.add_argument("--films", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--drawn", type=int, default=60, help="number of clips to draw")
    parser.add_argument("--clips", type=Path, help="folder with fight/ and normal/, in place of drawn clips")
    parser.add_argument("--language", default="zh", choices=["zh", "en"])
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vigil-memory-") as name:
        folder = Path(name)
        clips = words.clips or folder / "clips"
        if words.clips is None:
            run("synth", clips, "--clips", words.drawn, "--seed", 77)
        films = [folder / f"film-{number}.mp4" for number in range(words.films)]
        for number, film in enumerate(films):
            size = ["--size", "192x144", "--fps", "12", "--seed", number]
            run("compose", clips, "--out", film, "--seconds", words.seconds, *size)
        scores = {memory: score(folder, films, memory=memory, words=words) for memory in (0, 3)}
    report(scores, films=words.films)


def report(scores: dict[int, dict[str, Any]], *, films: int) -> None:
    """Prints the table and the ratio."""
    table = Table(title=f"windows of {films} films")
    for column in ("memory", "window ROC AUC", "95 %", "incidents found", "false alarms"):
        table.add_column(column)
    for memory, scored in scores.items():
        window = scored["window"]
        interval = window["roc_auc_ci95"] or ("-", "-")
        low, high = (f"{each:.3f}" if isinstance(each, float) else each for each in interval)
        found = f"{scored['found']} of {scored['incidents']}"
        table.add_row(str(memory), f"{window['roc_auc']:.3f}", f"[{low}, {high}]", found, str(scored["false_alarms"]))
    Console(width=100).print(table)
    print(f"ratio window_auc_memory_3_to_0 {scores[3]['window']['roc_auc'] / scores[0]['window']['roc_auc']:.3f}")


if __name__ == "__main__":
    main()
