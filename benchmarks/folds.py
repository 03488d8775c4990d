"""Base and LoRA on a small set of clips, every clip scored by a model that never saw its recording.

Grouped k-fold on the tiny base: k datasets, k adapters by LLaMA-Factory, one vLLM that serves the base and all
adapters, k scores, pooled. Resumable: what is trained stays trained.

    python benchmarks/folds.py ../shared/clips --out outputs/folds [--folds 5] [--drawn 400] [key=value ...]

`--drawn` clips are trained with in every fold and never scored; `key=value` words go to the training.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.demo import TINY_BASE, TINY_SAMPLING, score_table

from vigil.cli.main import wide_console
from vigil.errors import JobError, VigilError
from vigil.questions import load_question
from vigil.serving.server import RunningServer, run_server


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_intermixed_args(argv)
    try:
        summary = measure(options.clips, options.out, folds=options.folds, drawn=options.drawn, words=options.words)
    except VigilError as error:
        print(f"folds: {error}", file=sys.stderr)
        return error.exit_code
    wide_console().print(score_table(summary))
    gain = summary["lora"]["roc_auc"] - summary["base"]["roc_auc"]
    print(f"ratio lora_minus_base_auc {gain:.3f}")
    if options.json:
        options.json.write_text(json.dumps({"lora_minus_base_auc": gain, **summary}, indent=2), encoding="utf-8")
    return 0


def measure(clips: Path, out: Path, *, folds: int, drawn: int, words: Sequence[str]) -> dict[str, Any]:
    """The pooled figures of base and LoRA over all folds."""
    more: tuple[str, ...] = ()
    if drawn:
        _vigil("synth", str(out / "drawn"), "--clips", str(drawn))
        more = ("--also", str(out / "drawn"))
    adapters = [
        _train(clips, out / f"fold-{fold}", fold=fold, folds=folds, more=more, words=words) for fold in range(folds)
    ]
    with run_server(
        TINY_BASE,
        name="base",
        task=load_question("fight"),
        sampling=TINY_SAMPLING,
        adapters=[f"fold-{fold}={adapter}" for fold, adapter in enumerate(adapters)],
        log=out / "vllm.log",
    ) as server:
        for fold in range(folds):
            _score(out / f"fold-{fold}", server, "base")
            _score(out / f"fold-{fold}", server, f"fold-{fold}", name="lora")
    return {name: _pool(out, name, folds) for name in ("base", "lora")}


def _train(clips: Path, folder: Path, *, fold: int, folds: int, more: Sequence[str], words: Sequence[str]) -> Path:
    data, adapter = folder / "data", folder / "adapter"
    cut = ("--max-pixels", str(TINY_SAMPLING.max_pixels), "--folds", str(folds), "--fold", str(fold))
    _vigil("dataset", "build", str(clips), "--out", str(data), "--answers", "verdict", *cut, *more)
    if not (adapter / "vigil.json").is_file():
        _vigil("train", "tiny_lora", f"dataset_dir={data}", f"output_dir={adapter}", *words)
    return adapter


def _score(folder: Path, server: RunningServer, model: str, *, name: str = "base") -> None:
    where = ("--data", str(folder / "data"), "--url", server.url, "--model", model, "--fresh")
    out = ("--json", str(folder / f"{name}.json"), "--out", str(folder / f"score-{name}"))
    _vigil("score", *where, *out, key=server.key)


def _pool(out: Path, name: str, folds: int) -> dict[str, Any]:
    files = [str(out / f"fold-{fold}" / f"{name}.json") for fold in range(folds)]
    _vigil("score", "--combine", *files, "--json", str(out / f"{name}.json"))
    pooled: dict[str, Any] = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    return pooled


def _vigil(*words: str, key: str = "") -> None:
    environment = {**os.environ, **({"VIGIL_API_KEY": key} if key else {})}
    done = subprocess.run([sys.executable, "-m", "vigil", *words], env=environment, check=False)
    if done.returncode:
        raise JobError(f"`vigil {' '.join(words[:2])}` ended with exit code {done.returncode}, see above")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Grouped k-fold of the tiny base and its LoRA.")
    parser.add_argument("clips", type=Path, help="folder with fight/, normal/ and sources.csv")
    parser.add_argument("words", nargs="*", default=[], help="key=value words for the training")
    parser.add_argument("--out", type=Path, default=Path("outputs/folds"))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--drawn", type=int, default=400, help="drawn clips to train with beside the others (400)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
