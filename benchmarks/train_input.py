"""Samples a second of LLaMA-Factory on pre-cut frames against the same clips as mp4: same model, same steps, in turns.

Real clips where `../shared/clips` is there, else drawn ones of a surveillance camera's size. Both inputs show one
window of up to six frames of each clip at 2 fps and the same pixels; LLaMA-Factory decodes an mp4 again for every batch
of every epoch, frames it only reads. The figure is LLaMA-Factory's own `train_samples_per_second`.

    python benchmarks/train_input.py [--clips DIR] [--rounds 3] [--workers 0] [--json FILE]
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.demo import TINY_BASE, TINY_SAMPLING

from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.splits import SplitSettings
from vigil.environments import environment
from vigil.errors import VigilError
from vigil.questions import load_question
from vigil.synth.dataset import write_synth_dataset
from vigil.training.llamafactory import LlamaFactoryProcess

REAL_CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"
CLIPS = 96
STEPS = 12
BATCH = 16


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="train-input-") as folder:
            results = measure(options.clips, Path(folder), rounds=options.rounds, workers=options.workers)
    except VigilError as error:
        print(f"train_input: {error}", file=sys.stderr)
        return error.exit_code
    _tell(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(clips: Path | None, work: Path, *, rounds: int, workers: int) -> dict[str, Any]:
    """Samples a second of both inputs, round by round, and the ratio of their medians."""
    clips = clips or (REAL_CLIPS if REAL_CLIPS.is_dir() else _draw(work / "clips"))
    data = _dataset(clips, work / "data")
    speeds: dict[str, list[float]] = {"frames": [], "mp4": []}
    for number in range(rounds):
        for name in ("frames", "mp4") if number % 2 == 0 else ("mp4", "frames"):
            speeds[name].append(_train(data, name, work / f"{name}-{number}", workers=workers))
            print(f"round {number + 1}: {name} {speeds[name][-1]:.2f} samples/s", file=sys.stderr, flush=True)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    return {
        "clips": str(clips.name),
        "workers": workers,
        "speeds": speeds,
        "frames_vs_mp4": medians["frames"] / medians["mp4"],
    }


def _draw(folder: Path) -> Path:
    write_synth_dataset(folder, clips=CLIPS, seed=5, fps=25.0, size_wh=(640, 360))
    return folder


def _dataset(clips: Path, out: Path) -> Path:
    plan = BuildSettings(
        clips=clips,
        out=out,
        task=load_question("fight"),
        extract=ExtractSettings(sampling=TINY_SAMPLING),
        split=SplitSettings(test_share=0.3),
        limit=2 * CLIPS,
    )
    build_dataset(plan)
    examples = json.loads((out / "anomaly-train.json").read_text(encoding="utf-8"))
    every = [example for example in examples if example["window"] == 0]
    # Spread over the whole list, which is sorted by class: both classes, all recordings.
    first = [every[index * len(every) // CLIPS] for index in range(CLIPS)]
    _write(out / "frames.json", [{"messages": e["messages"], "videos": e["videos"]} for e in first])
    whole = [{"messages": e["messages"], "videos": [str((clips / e["clip"]).resolve())]} for e in first]
    _write(out / "mp4.json", whole)
    info = json.loads((out / "dataset_info.json").read_text(encoding="utf-8"))
    form = info["anomaly-train"]
    _write(out / "dataset_info.json", {name: form | {"file_name": f"{name}.json"} for name in ("frames", "mp4")})
    return out


def _train(data: Path, dataset: str, out: Path, *, workers: int) -> float:
    settings = {
        "model_name_or_path": str(TINY_BASE),
        "template": "qwen3_vl_nothink",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 16,
        "lora_target": "all",
        "dataset": dataset,
        "dataset_dir": str(data),
        "media_dir": str(data),
        "cutoff_len": 1024,
        "video_fps": TINY_SAMPLING.fps,
        "video_maxlen": TINY_SAMPLING.frames,
        "video_max_pixels": TINY_SAMPLING.max_pixels,
        "video_min_pixels": 1024,
        "overwrite_cache": True,
        "dataloader_num_workers": workers,
        "output_dir": str(out),
        "max_steps": STEPS,
        "per_device_train_batch_size": BATCH,
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-4,
        "save_strategy": "no",
        "logging_steps": STEPS,
        "bf16": False,
        "report_to": "none",
        "disable_gradient_checkpointing": True,
    }
    config = out.with_suffix(".yaml")
    config.write_text(json.dumps(settings), encoding="utf-8")
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "CUDA_VISIBLE_DEVICES": ""}
    LlamaFactoryProcess(
        environment=environment("train"), arguments=("train", str(config)), log=out.with_suffix(".log"), variables=quiet
    ).run()
    figures = json.loads((out / "train_results.json").read_text(encoding="utf-8"))
    return float(figures["train_samples_per_second"])


def _write(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def _tell(results: dict[str, Any]) -> None:
    workers = f"{results['workers']} loader processes"
    print(f"LLaMA-Factory, tiny base, LoRA, {STEPS} steps of {BATCH}, {workers}, clips: {results['clips']}")
    for name, values in results["speeds"].items():
        print(f"{name:>7}  median {statistics.median(values):6.2f} samples/s   rounds {[round(v, 2) for v in values]}")
    print(f"ratio frames_vs_mp4 {results['frames_vs_mp4']:.2f}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Pre-cut frames against mp4 as LLaMA-Factory's input.")
    parser.add_argument(
        "--clips", type=Path, help="folder with fight/ and normal/ (default: ../shared/clips, or drawn)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="dataloader_num_workers (0, LLaMA-Factory's default)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
