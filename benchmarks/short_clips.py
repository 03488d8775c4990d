"""How training should cover clips that are shorter than a live window: the policies of `--short`, measured.

Most public fight clips last about 2 s (4 frames at 2 fps); a camera's window has 6. For each policy the same training
clips are built, a LoRA is trained on the tiny base for the same number of steps, and windows of other
recordings are scored: full windows as a camera gives them, and short ones.

    python benchmarks/short_clips.py                            drawn clips, four in five of them about 2 s long
    python benchmarks/short_clips.py --clips ../shared/clips    real clips, by the sources beside them
    python benchmarks/short_clips.py --policies as-is both --seeds 0 1 2 --steps 300 --json short.json

Needs .venv-train. Prints a table and, last, a line `ratio NAME VALUE` for each figure. What is trained stays trained.
"""

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.clips import find_clips
from vigil.dataset.examples import TrainingExample, read_examples, split_path
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.frame_files import ShortClipPolicy
from vigil.dataset.splits import SplitSettings
from vigil.errors import JobError, VigilError
from vigil.frames import FrameSampling
from vigil.questions import load_question
from vigil.score.metrics import delong, roc_auc, wilson
from vigil.synth.dataset import plan_synth_dataset, write_synth_clip

ROOT = Path(__file__).resolve().parents[1]
TRAIN_PYTHON = ROOT / ".venv-train/bin/python"
TINY_BASE = ROOT / "src/vigil/tiny/base"
SAMPLING = FrameSampling(max_pixels=12_288)
TASK = load_question("fight")
SHORT_SHARE = 0.8
POLICIES: tuple[ShortClipPolicy, ...] = get_args(ShortClipPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One policy on one kind of window."""

    policy: str
    windows: str
    n: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    roc_auc: float
    roc_auc_ci95: tuple[float, float]


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        figures = measure(options)
    except VigilError as error:
        print(f"short_clips: {error}", file=sys.stderr)
        return error.exit_code
    Console(highlight=False).print(_table(figures))
    ratios = {f"{each.policy}_{each.windows.replace(' ', '_')}_auc": round(each.roc_auc, 4) for each in figures}
    for name, value in ratios.items():
        print(f"ratio {name} {value}")
    if options.json:
        rows = [{name: getattr(each, name) for name in Figures.__slots__} for each in figures]
        options.json.write_text(json.dumps({"ratios": ratios, "rows": rows}, indent=2), encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="real clips with sources.csv instead of drawn ones")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs/short_clips")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=POLICIES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=200, help="training steps of 16 windows, the same for all")
    parser.add_argument("--train-clips", type=int, default=600, help="drawn clips to train on")
    parser.add_argument("--test-clips", type=int, default=300, help="drawn clips to score")
    parser.add_argument("--json", type=Path)
    return parser


def measure(options: argparse.Namespace) -> list[Figures]:
    """The figures of every policy, its seeds pooled."""
    pooled: dict[tuple[str, str], tuple[list[float], list[bool]]] = {}
    for seed in options.seeds:
        folder = options.out.resolve() / f"seed-{seed}"
        train, test = _real(options.clips, folder, seed) if options.clips else _drawn(options, folder, seed)
        judged = _build(test, folder / "judged", "both")
        for policy in options.policies:
            data = folder / policy
            _build(train, data, policy)
            adapter = _train(data, data / f"adapter-{options.steps}", steps=options.steps, seed=seed)
            for example, p_alarm in zip(judged, _scores(folder / "judged", adapter, data), strict=True):
                held = pooled.setdefault((policy, _kind(example)), ([], []))
                held[0].append(p_alarm)
                held[1].append(example.label == "alarm")
    return [_figures(policy, kind, *held) for (policy, kind), held in pooled.items()]


def _kind(example: TrainingExample) -> str:
    """`6 frames` and `4 frames` are what a camera or a short clip gives; crops and stretches are made."""
    return f"{len(example.frames)} frames{'' if example.kind == 'window' else ' ' + example.kind}"


def _drawn(options: argparse.Namespace, folder: Path, seed: int) -> tuple[Path, Path]:
    """Training clips of which most are short, and test clips of another seed that are long enough for a window."""
    random_s = random.Random(seed)
    train, test = folder / "clips-train", folder / "clips-test"
    _draw(
        train,
        options.train_clips,
        seed=2 * seed,
        durations_s=[
            random_s.uniform(1.8, 2.4) if random_s.random() < SHORT_SHARE else random_s.uniform(3.0, 5.0)
            for _ in range(options.train_clips)
        ],
    )
    _draw(test, options.test_clips, seed=2 * seed + 1, durations_s=[3.0] * options.test_clips)
    return train, test


def _draw(folder: Path, clips: int, *, seed: int, durations_s: Sequence[float]) -> None:
    drawn = plan_synth_dataset(clips=clips, seed=seed + 500, fps=12.0, size_wh=(192, 144))
    plans = [replace(plan, duration_s=duration) for plan, duration in zip(drawn, durations_s, strict=True)]
    for plan in plans:
        plan.path(folder).parent.mkdir(parents=True, exist_ok=True)
    missing = [plan for plan in plans if not plan.path(folder).exists()]
    rows = [f"{plan.name},{plan.label},{plan.source}" for plan in plans]
    (folder / "sources.csv").write_text("\n".join(["clip,label,source", *rows]) + "\n", encoding="utf-8")
    with ProcessPoolExecutor() as pool:
        list(pool.map(write_synth_clip, missing, [folder] * len(missing), chunksize=8))


def _real(clips: Path, folder: Path, seed: int) -> tuple[Path, Path]:
    """Two folders of links, split by recording."""
    plan = BuildSettings(
        clips=clips,
        out=folder / "split",
        task=TASK,
        extract=ExtractSettings(sampling=SAMPLING),
        split=SplitSettings(seed=seed),
    )
    report = build_dataset(plan)
    sides = {example.clip: split for split, examples in report.examples.items() for example in examples}
    for clip in find_clips(clips, TASK).clips:
        if clip.name in sides:
            link = folder / f"clips-{sides[clip.name]}" / clip.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(clip.path.resolve())
    return folder / "clips-train", folder / "clips-test"


def _build(clips: Path, out: Path, policy: ShortClipPolicy) -> list[TrainingExample]:
    """All windows of a folder as one split, so that what the policy adds is in it too."""
    settings = ExtractSettings(sampling=SAMPLING, short=policy)
    plan = BuildSettings(clips=clips, out=out, task=TASK, extract=settings, split=SplitSettings(test_share=0.0), jobs=2)
    build_dataset(plan)
    return read_examples(split_path(out, "train"), TASK)


def _train(data: Path, adapter: Path, *, steps: int, seed: int) -> Path:
    words = [f"dataset_dir={data}", f"output_dir={adapter}", f"max_steps={steps}", f"seed={seed}", "plot_loss=false"]
    _run([sys.executable, "-m", "vigil", "train", "tiny_lora", *words], data / "train.log")
    return adapter


def _scores(data: Path, adapter: Path, folder: Path) -> list[float]:
    settings: dict[str, Any] = {
        "model_name_or_path": str(TINY_BASE),
        "adapter_name_or_path": str(adapter),
        "stage": "sft",
        "finetuning_type": "lora",
        "template": "qwen3_vl_nothink",
        "dataset": "anomaly-train",
        "dataset_dir": str(data),
        "media_dir": str(data),
        "output_dir": str(folder / "scores"),
        "do_train": True,
        "bf16": False,
        "infer_dtype": "float32",
        "video_fps": SAMPLING.fps,
        "video_maxlen": SAMPLING.frames,
        "video_max_pixels": SAMPLING.max_pixels,
        "video_min_pixels": 4096,
        "overwrite_cache": True,
        "report_to": "none",
        "words": [TASK.alarm_word, TASK.normal_word],
    }
    asked, answer = folder / "ask.json", folder / "scores.json"
    asked.write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")
    _run(
        [str(TRAIN_PYTHON), str(ROOT / "benchmarks/first_token_scores.py"), str(asked), str(answer)],
        folder / "scores.log",
    )
    scores: list[float] = json.loads(answer.read_text(encoding="utf-8"))
    return scores


def _run(command: Sequence[str], log: Path) -> None:
    print(f"$ {' '.join(command)} > {log}", file=sys.stderr)
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise JobError(f"{' '.join(command[:5])} ... ended with {done.returncode}; see {log}")


def _figures(policy: str, kind: str, p_alarm: Sequence[float], is_alarm: Sequence[bool]) -> Figures:
    p, truth = np.array(p_alarm, dtype=np.float64), np.array(is_alarm, dtype=np.bool_)
    right = int(((p >= 0.5) == truth).sum())
    return Figures(
        policy=policy,
        windows=kind,
        n=len(p),
        accuracy=right / len(p),
        accuracy_ci95=wilson(right, len(p)),
        roc_auc=roc_auc(p, truth) or float("nan"),
        roc_auc_ci95=delong(p, truth) or (0.0, 1.0),
    )


def _table(figures: Sequence[Figures]) -> Table:
    table = Table("policy", "windows", "n", "accuracy (95 %)", "ROC AUC (95 %)", box=None)
    for each in sorted(figures, key=lambda one: (one.windows, POLICIES.index(one.policy))):
        accuracy, auc = each.accuracy_ci95, each.roc_auc_ci95
        table.add_row(
            each.policy,
            each.windows,
            str(each.n),
            f"{each.accuracy:.3f} ({accuracy[0]:.3f}-{accuracy[1]:.3f})",
            f"{each.roc_auc:.3f} ({auc[0]:.3f}-{auc[1]:.3f})",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
