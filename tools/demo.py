"""Runs the whole pipeline without a GPU: clips, dataset, LoRA on the tiny base, export, vLLM, two scores.

With `--task anomaly9` the clips are of nine classes, and the probabilities are calibrated before they are scored.

`scripts/demo.sh` sets up the environments and runs this. Every stage is one of Vigil's own commands, printed before
it runs, so the demo doubles as a recipe. If a stage fails, finished work is kept, and the same command resumes.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from tools.demo_tasks import TASKS, DemoTask
from tools.stages import CommandStages, console, exit_code_of, run_vigil, versions, wait_for
from vigil.cli.main import wide_console
from vigil.dataset.clips import find_clips
from vigil.errors import UsageError
from vigil.files import require_writable_folder, write_json
from vigil.frames import FrameSampling
from vigil.manifest import read_manifest
from vigil.questions import load_question
from vigil.serving.server import RunningServer, check_port, run_server
from vigil.tiny import BASE_FOLDER
from vigil.training.output import RUN_NAME, lock_output

WEB_PORT = 7860
TINY_BASE = BASE_FOLDER
TINY_SAMPLING = FrameSampling(max_pixels=12_288)
"""128x96 frames, the size that the tiny base was trained on."""

MORE_CLIPS = 400
"""Drawn clips added to the training on a small real set, for people in positions that the set lacks."""


MADE_FROM_NAME = "made-from.json"
MADE_FROM_DATA = ("adapter", "model", "score-base", "score-lora")

WRITTEN = (
    *MADE_FROM_DATA, "clips", "drawn", "data", "logs",
    "parity.json", "score-base.json", "score-lora.json", "summary.json",
)  # fmt: skip
"""Everything that a demo writes into its folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """The options of the demo; another task, other clips or another seed get their own output folder by default."""

    task: str = "fight"
    named_out: Path | None = None
    clips: Path | None = None
    port: int = 8000
    keep: bool = False
    web: bool = True
    seed: int = 0

    @property
    def out(self) -> Path:
        """The output folder."""
        if self.named_out is not None:
            return self.named_out
        of = "out" if self.task == "fight" else self.task
        if self.clips is not None:
            of = f"of-{self.clips.absolute().name}" if self.task == "fight" else f"{of}-of-{self.clips.absolute().name}"
        return Path(f"demo-{of}-seed-{self.seed}" if self.seed else f"demo-{of}")

    @property
    def made_from(self) -> dict[str, Any]:
        """The inputs that all results depend on."""
        made: dict[str, Any] = {"clips": None if self.clips is None else str(self.clips.resolve()), "seed": self.seed}
        return made if self.task == "fight" else made | {"task": self.task}

    @property
    def asked(self) -> DemoTask:
        """What is asked, drawn and trained."""
        return TASKS[self.task]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo; returns its exit code."""
    settings, setup_s, only_look = _parse(argv)
    return exit_code_of("demo", lambda: _check_and_run(settings, setup_s=setup_s, only_look=only_look))


def _check_and_run(settings: DemoSettings, *, setup_s: float, only_look: bool) -> None:
    check_demo(settings)
    if not only_look:
        run(settings, setup_s=setup_s)


def check_demo(settings: DemoSettings) -> None:
    """Raises UsageError or DatasetError for every problem that can be found before any work."""
    require_writable_folder(settings.out, "--out")
    refuse_other_clips(settings)
    for port in (settings.port, settings.port + 1, *([WEB_PORT] if settings.web else [])):
        check_port("127.0.0.1", port)
    if settings.clips is None:
        return
    if not settings.clips.is_dir():
        raise UsageError(f"--clips {settings.clips} is not a folder; it must hold a folder for each class and normal/")
    find_clips(settings.clips, load_question(settings.asked.file))


def run(settings: DemoSettings, *, setup_s: float = 0.0) -> None:
    """Runs all stages once and writes `summary.json` into the output folder."""
    settings.out.mkdir(parents=True, exist_ok=True)
    stages = CommandStages(total=9 if settings.asked.is_calibrated else 8, seconds={"environments": round(setup_s, 1)})
    clips = _clips(settings, stages)
    data, adapter, model = settings.out / "data", settings.out / "adapter", settings.out / "model"
    with stages.stage("dataset", "windows of 6 frames at 2 fps, split by recording"):
        _build_dataset(clips, data, settings)
        discard_stale(data, settings.out)
    with stages.stage("train", "LoRA on the tiny base, by LLaMA-Factory"):
        _train(data, adapter, settings.asked)
    with stages.stage("export", "the adapter merged into a complete model, and checked"):
        run_vigil("export", str(adapter), "--out", str(model))
    with ExitStack() as stack, ExitStack() as for_base:
        with stages.stage("serve", "vLLM twice: the base and the merged model"):
            base, lora = _serve(stack, for_base, model, settings)
        with stages.stage("parity", "are the served prompts those that were trained on?"):
            parity = _parity(data, lora, settings.out)
        calibrated = _calibrate(data, lora, model, stages) if settings.asked.is_calibrated else None
        with stages.stage("score", "both models on the test split, clip by clip"):
            scores = {
                name: _score(data, server, settings.out, name, model_dir=folder)
                for name, server, folder in (("base", base, None), ("lora", lora, calibrated))
            }
        summary = {**scores, "parity_differences": parity, "seconds": stages.seconds, "versions": versions()}
        write_json(settings.out / "summary.json", summary)
        _print_summary(summary, settings, lora)
        for_base.close()
        if settings.web:
            _browse(model, lora)
        elif settings.keep:
            _keep(lora)


def _clips(settings: DemoSettings, stages: CommandStages) -> Path:
    if settings.clips is not None:
        with stages.stage("clips", f"yours, from {settings.clips}, plus {MORE_CLIPS} drawn ones for training"):
            _draw(settings.out / "drawn", MORE_CLIPS, settings)
        return settings.clips
    folder = settings.out / "clips"
    with stages.stage("clips", f"{settings.asked.clips} {settings.asked.what}"):
        _draw(folder, settings.asked.clips, settings)
    return folder


def refuse_other_clips(settings: DemoSettings) -> None:
    """Raises UsageError if the folder holds a demo of other clips or another seed, because they would be mixed."""
    try:
        before = json.loads((settings.out / MADE_FROM_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        _refuse_foreign(settings.out)
        return
    if before == settings.made_from:
        return
    clips, seed = before.get("clips") or "drawn clips", before.get("seed")
    of_task = f" of {before['task']}" if before.get("task") else ""
    raise UsageError(
        f"{settings.out} holds the demo of {clips}{of_task} with seed {seed}; name another folder with --out"
    )


def _refuse_foreign(out: Path) -> None:
    """Raises UsageError if a folder without a demo holds files that the demo would overwrite."""
    taken = [out / name for name in WRITTEN if (out / name).exists()]
    if taken:
        raise UsageError(f"{taken[0]} was not made by a demo and stays as it is; name another folder with --out")


def _draw(folder: Path, clips: int, settings: DemoSettings) -> None:
    write_json(settings.out / MADE_FROM_NAME, settings.made_from)
    run_vigil("synth", str(folder), "--clips", str(clips), "--seed", str(settings.seed), *settings.asked.draw)


def discard_stale(data: Path, out: Path) -> None:
    """Deletes results made from another dataset, because a training cannot be resumed with other data."""
    try:
        trained_on = json.loads((out / "adapter" / RUN_NAME).read_text(encoding="utf-8"))["data_digest"]
    except (OSError, ValueError, KeyError):
        return
    if trained_on == read_manifest(data).data_digest:
        return
    console.print("the dataset has changed since the last run: training, export and scores start again")
    with lock_output(out / "adapter"):
        for name in MADE_FROM_DATA:
            shutil.rmtree(out / name, ignore_errors=True)


def _build_dataset(clips: Path, data: Path, settings: DemoSettings) -> None:
    frames = ("--max-pixels", str(TINY_SAMPLING.max_pixels), "--seed", str(settings.seed))
    # Of a person's own clips, which are few, all that is not for test and val is used for training.
    own = () if settings.asked.is_calibrated else ("--calibration-share", "0")
    shares = settings.asked.shares if settings.clips is None else (*own, "--also", str(settings.out / "drawn"))
    run_vigil("dataset", "build", str(clips), "--out", str(data), "--task", settings.asked.file, *frames, *shares)
    run_vigil("dataset", "check", str(data))
    run_vigil("dataset", "preview", str(data))


def _train(data: Path, adapter: Path, asked: DemoTask) -> None:
    """Trains for about so many windows in total: fewer epochs if there are more windows."""
    examples = len(json.loads((data / "anomaly-train.json").read_text(encoding="utf-8")))
    epochs = min(asked.most_epochs, max(1, round(asked.samples / examples)))
    settings = (f"dataset_dir={data}", f"output_dir={adapter}", f"num_train_epochs={epochs}", *asked.overrides)
    run_vigil("train", "tiny_lora", *settings)


def _serve(
    stack: ExitStack, for_base: ExitStack, model: Path, settings: DemoSettings
) -> tuple[RunningServer, RunningServer]:
    """Starts both servers; the base is served under the same contract that the LoRA was trained with."""
    logs = settings.out / "logs"
    task = load_question(settings.asked.question)
    base = run_server(
        TINY_BASE, port=settings.port + 1, name="base", log=logs / "vllm-base.log", task=task, sampling=TINY_SAMPLING
    )
    lora = run_server(model, port=settings.port, name="lora", log=logs / "vllm-lora.log")
    return for_base.enter_context(base), stack.enter_context(lora)


def _calibrate(data: Path, server: RunningServer, model: Path, stages: CommandStages) -> Path | None:
    """Fits a calibration to the split that is kept for it; returns the model's folder, None without such a split."""
    if not (data / "anomaly-calibration.json").is_file():
        return None
    with stages.stage("calibrate", "probabilities that match frequencies, on clips kept for it"):
        run_vigil("calibrate", "--data", str(data), "--model-dir", str(model), server=server)
    return model


def _parity(data: Path, server: RunningServer, out: Path) -> int:
    path = out / "parity.json"
    run_vigil("parity", "--data", str(data), "--json", str(path), server=server)
    return int(json.loads(path.read_text(encoding="utf-8"))["differences"])


def _score(data: Path, server: RunningServer, out: Path, name: str, *, model_dir: Path | None = None) -> dict[str, Any]:
    path = out / f"score-{name}.json"
    words = ["--data", str(data), "--json", str(path), "--out", str(out / f"score-{name}")]
    if name == "base":
        # It was never trained on the label words: under the usual minimum all of its windows would be unknown.
        words += ["--min-label-probability", "0"]
    if model_dir is not None:
        words += ["--model-dir", str(model_dir)]
    run_vigil("score", *words, server=server)
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def _print_summary(summary: dict[str, Any], settings: DemoSettings, server: RunningServer) -> None:
    stdout = wide_console()
    stdout.print(score_table(summary))
    if "classes" in summary["lora"]:
        stdout.print(class_score_table(summary))
    stdout.print(
        "the base gives the label words almost no probability, so any is accepted for it (--min-label-probability 0)"
    )
    stdout.print(_time_table(summary["seconds"]))
    out = settings.out
    stdout.print(
        f"parity: {summary['parity_differences']} differences between what was trained and what was served\n"
        f"\nLook at:   {out}/data/preview.html           what the model was trained on\n"
        f"           {out}/score-lora/mistakes.html    its worst mistakes\n"
        f"           {out}/summary.json                all figures\n"
        f"Next:      ./vllm.sh {out}/model             serve it\n"
        f"{_own_clips(settings)}\n"
        "           bash scripts/train.sh qwen3vl_2b_lora   the real model, on a GPU",
        soft_wrap=True,
    )


def score_table(summary: dict[str, Any]) -> Table:
    """A table of the scores of base and LoRA, with n, confidence interval and majority baseline."""
    table = Table(title="test split, clip by clip")
    for heading in ("", "n", "accuracy [95 %]", "majority", "ROC AUC", "F1", "ECE", "unknown", "p50 ms", "requests/s"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in ("base", "lora"):
        table.add_row(name, *_score_cells(summary[name]))
    return table


def _own_clips(settings: DemoSettings) -> str:
    if settings.task == "fight":
        return "           bash scripts/demo.sh --clips DIR  the same with your own clips (fight/ and normal/)"
    return f"           bash scripts/demo.sh --task {settings.task} --clips DIR  the same with your own clips"


def class_score_table(summary: dict[str, Any]) -> Table:
    """A table of how well base and LoRA tell the classes apart, with intervals and the majority baseline."""
    table = Table(title="test split, class by class; the whole confusion matrix is in score-lora/confusion.png")
    for heading in ("", "n", "macro-F1 [95 %]", "majority", "accuracy [95 %]", "mean AP [95 %]", "ECE"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in ("base", "lora"):
        found = summary[name]["classes"]
        table.add_row(
            name,
            str(found["n"]),
            _with_interval(found["macro_f1"], found["macro_f1_ci95"]),
            f"{found['macro_f1_majority']:.3f}",
            _with_interval(found["accuracy"], found["accuracy_ci95"]),
            _with_interval(found["macro_average_precision"], found["macro_average_precision_ci95"]),
            _figure(found["ece"]),
        )
    return table


def _with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    return _figure(value) + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _score_cells(score: dict[str, Any]) -> tuple[str, ...]:
    low, high = score["accuracy_ci95"]
    return (
        str(score["n"]),
        f"{score['accuracy']:.3f} [{low:.3f}, {high:.3f}]",
        f"{score['baseline_majority']:.3f}",
        _figure(score["roc_auc"]),
        _figure(score["f1"]),
        _figure(score["ece"]),
        str(sum(score["unknown"].values())),
        _figure(score["latency_ms"]["p50"], digits=0),
        _figure(score["requests_per_s"], digits=1),
    )


def _figure(value: float | None, *, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _time_table(seconds: dict[str, float]) -> Table:
    table = Table(title="seconds per stage")
    for name in seconds:
        table.add_column(name, justify="right")
    table.add_column("total", justify="right")
    table.add_row(*(f"{value:.0f}" for value in seconds.values()), f"{sum(seconds.values()):.0f}")
    return table


def _browse(model: Path, server: RunningServer) -> None:
    """Runs the web pages with the merged model until Ctrl-C."""
    at = ("--url", server.url, "--model", server.model, "--model-dir", str(model))
    words = ("--demo", *at, "--port", str(WEB_PORT))
    console.print(f"[dim]$ python web.py {shlex.join(words)}[/]", soft_wrap=True)
    console.print("Press Ctrl-C to stop the pages and the server; --no-web skips this step")
    environment = dict(os.environ) | {"VIGIL_API_KEY": server.key}
    with suppress(KeyboardInterrupt):
        wait_for(subprocess.Popen([sys.executable, "web.py", *words], env=environment))


def _keep(server: RunningServer) -> None:
    console.print(f"The LoRA model is served at {server.url}, its key is in .vigil/key; press Ctrl-C to stop.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("stopping")


def _parse(argv: Sequence[str] | None) -> tuple[DemoSettings, float, bool]:
    parser = argparse.ArgumentParser(prog="scripts/demo.sh", description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--task",
        choices=[*TASKS],
        default="fight",
        help="what is drawn, trained and scored: fights, or the nine classes of anomaly9 (fight)",
    )
    parser.add_argument(
        "--out",
        dest="named_out",
        metavar="DIR",
        type=Path,
        help="output folder (demo-out; demo-anomaly9 for that task; demo-of-CLIPS with --clips; with the suffix "
        "-seed-N with --seed)",
    )
    parser.add_argument(
        "--clips",
        metavar="DIR",
        type=Path,
        help="use your clips instead of drawn ones: a folder with fight/ and normal/, or with the classes of anomaly9",
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="port of the LoRA model; the base uses the next one (8000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the drawn clips and the split (0)")
    parser.add_argument("--keep", action="store_true", help="keep serving the LoRA model until Ctrl-C")
    parser.add_argument("--no-web", dest="web", action="store_false", help="do not open the web pages at the end")
    parser.add_argument("--setup-seconds", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--only-look", action="store_true", help=argparse.SUPPRESS)
    given = vars(parser.parse_args(argv))
    setup_s, only_look = given.pop("setup_seconds"), given.pop("only_look")
    return DemoSettings(**given), setup_s, only_look


if __name__ == "__main__":
    sys.exit(main())
