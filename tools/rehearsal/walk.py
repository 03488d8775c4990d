"""Runs the README's commands with a full-size model, and writes the measurements to `rehearsal.json`."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.rehearsal.shapes import ModelShape
from tools.stages import CommandStages, console, run_vigil, versions, wait_for
from vigil.cli.main import wide_console
from vigil.environments import CHECKOUT, environment
from vigil.errors import JobError
from vigil.files import require_writable_folder, write_json
from vigil.judge import Endpoint, Judge
from vigil.manifest import read_manifest
from vigil.models.merge_capacity import free_memory_bytes
from vigil.parity.examples import read_examples
from vigil.questions import load_question
from vigil.serving.server import RunningServer, check_port, run_server

CLIPS: Final = 40
CLIP_WH: Final = (480, 256)
"""The frame size of a typical camera under the default `--max-pixels`."""

STEPS: Final = 2
PARITY_EXAMPLES: Final = 12
SCORED_CLIPS: Final = 8
DESCRIPTION_TOKENS: Final = 40
READY_S: Final = 600.0
DEADLINE_S: Final = 300.0

CPU_TRAINING: Final = {
    "max_steps=2": "two steps are enough to get an adapter",
    "use_cpu=true": "there is no GPU",
    "bf16=false": "LLaMA-Factory trains in bfloat16 on GPUs only",
    "per_device_train_batch_size=1": "four examples of float32 do not fit into 14 GiB",
    "gradient_accumulation_steps=1": "a step of eight examples takes a minute",
    "dataloader_num_workers=0": "each worker is a process beside the model",
    "preprocessing_num_workers=1": "each worker is a process beside the model",
}
"""Overrides of the training config, and the reason for each."""

DISK_FACTOR: Final = 2.3
"""Disk space for the model, the merged model and the other files, in multiples of the weights' size."""

MEMORY_FACTOR: Final = 2.9
"""Peak memory of any stage, in multiples of the weights' size: vLLM with its cache, or training in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalSettings:
    """What to rehearse, and the output folder; `keep` keeps the models, clips and dataset, which are gigabytes."""

    shape: ModelShape
    out: Path = Path("rehearsal-out")
    keep: bool = False
    port: int = 0

    @property
    def model(self) -> Path:
        """Folder of the model with random weights."""
        return self.out / "models" / self.shape.name

    @property
    def data(self) -> Path:
        """Folder of the dataset."""
        return self.out / "data"

    @property
    def clips(self) -> Path:
        """Folder of the drawn clips."""
        return self.out / "clips"

    @property
    def adapter(self) -> Path:
        """Folder of the trained adapter."""
        return self.out / "saves" / self.shape.train_config

    @property
    def merged(self) -> Path:
        """Folder of the merged model, which is served."""
        return self.out / "models" / self.shape.train_config


class Rehearsal:
    """One rehearsal: each step runs a command of the README and records its measurements in `figures`."""

    def __init__(self, settings: RehearsalSettings) -> None:
        self.settings = settings
        self.stages = CommandStages(total=9)
        self.figures: dict[str, Any] = {"parameters": settings.shape.parameters}
        settings.out.mkdir(parents=True, exist_ok=True)

    def make_model(self) -> None:
        """Writes the model with random weights unless it exists; raises JobError if it cannot be written."""
        settings = self.settings
        with self.stages.stage("model", f"{settings.shape.name} with random weights and the full vocabulary"):
            if not settings.model.is_dir():
                _write_model(settings)

    def make_dataset(self) -> None:
        """Draws clips of a camera's size, builds a dataset, and checks its texts against the full vocabulary."""
        settings = self.settings
        width, height = map(str, CLIP_WH)
        with self.stages.stage("dataset", "windows of 6 frames at 2 fps, checked against the full vocabulary"):
            run_vigil("synth", str(settings.clips), "--clips", str(CLIPS), "--width", width, "--height", height)
            run_vigil("dataset", "build", str(settings.clips), "--out", str(settings.data))
            run_vigil("dataset", "check", str(settings.data), "--tokenizer", str(settings.model))

    def train(self, overrides: Mapping[str, str]) -> None:
        """Trains a LoRA with the README's config, except for `overrides` (setting -> reason)."""
        settings = self.settings
        places = {"model_name_or_path": settings.model, "dataset_dir": settings.data, "output_dir": settings.adapter}
        with self.stages.stage("train", f"configs/train/{settings.shape.train_config}.yaml, except for"):
            for override, why in overrides.items():
                console.print(f"  {override:<32} {why}", soft_wrap=True)
            words = (*(f"{name}={path}" for name, path in places.items()), *overrides)
            run_vigil("train", settings.shape.train_config, *words)
        self.figures["train_seconds"] = read_manifest(settings.adapter).training["train_seconds"]

    def export(self) -> None:
        """Merges the adapter into its base and compares every weight."""
        settings = self.settings
        with self.stages.stage("export", "the adapter merged, and every weight compared"):
            run_vigil("export", str(settings.adapter), "--out", str(settings.merged))
        self.figures["merge"] = read_manifest(settings.merged).training["merged"]

    @contextmanager
    def served(self, config: str | None = None) -> Iterator[RunningServer]:
        """Serves the merged model with vLLM, with a config of configs/serve, while the block runs."""
        settings = self.settings
        with ExitStack() as stack:
            with self.stages.stage("serve", "the merged model, by vLLM"):
                log = settings.out / "logs" / "vllm.log"
                serving = run_server(settings.merged, port=settings.port, log=log, config=config, timeout_s=READY_S)
                server = stack.enter_context(serving)
            self.figures["serve_ready_s"] = round(server.ready_s, 1)
            yield server

    def compare(self, server: RunningServer) -> None:
        """Compares the served prompts with those of the training."""
        path = self.settings.out / "parity.json"
        with self.stages.stage("parity", "are the served prompts those that were trained on?"):
            limit = ("--limit", str(PARITY_EXAMPLES))
            run_vigil("parity", "--data", str(self.settings.data), "--json", str(path), *limit, server=server)
        found = _read_json(path)
        self.figures |= {"parity_examples": found["examples"], "parity_differences": found["differences"]}

    def score(self, server: RunningServer) -> None:
        """Scores clips of the test split, one request at a time, so that the latency is that of a single verdict."""
        out = self.settings.out
        clips = ("--limit", str(SCORED_CLIPS), "--in-flight", "1", "--fresh")
        # A model of random weights gives the label words almost no probability.
        words = (*clips, "--min-label-probability", "0", "--json", str(out / "score.json"))
        with self.stages.stage("score", f"{SCORED_CLIPS} clips of the test split; random weights know nothing"):
            run_vigil("score", "--data", str(self.settings.data), *words, "--out", str(out / "score"), server=server)
        score = _read_json(out / "score.json")
        if sum(score["unknown"].values()):
            raise JobError(
                f"windows without a verdict: {score['unknown']}; {out / 'score'} says which, {server.log} why"
            )
        self.figures["verdict_ms"] = score["latency_ms"]["p50"]

    def describe(self, server: RunningServer) -> None:
        """Describes one window, and records how its verdict is read."""
        with self.stages.stage("description", f"{DESCRIPTION_TOKENS} tokens about one window"):
            self.figures |= asyncio.run(_ask(self.settings, server))

    def watch(self, server: RunningServer) -> None:
        """Watches one clip, as a recording of a camera."""
        out = self.settings.out
        clip = next((self.settings.clips / "fight").glob("*.mp4"))
        words = (
            "--jsonl",
            str(out / "watch.jsonl"),
            "--store",
            str(out / "events.db"),
            "--set",
            "min_label_probability=0",
        )
        with self.stages.stage("watch", f"{clip.name}, as a camera's recording; alarms are described"):
            run_vigil("watch", str(clip), *words, "--set", f"describe_tokens={DESCRIPTION_TOKENS}", server=server)

    def write(self) -> None:
        """Writes and prints the measurements; raises JobError if prompts differ."""
        path = self.settings.out / "rehearsal.json"
        write_json(path, self.figures | {"seconds": self.stages.seconds, "versions": versions()})
        wide_console().print(path.read_text(encoding="utf-8"), end="", markup=False, highlight=False, soft_wrap=True)
        took_s = sum(self.stages.seconds.values())
        console.print(f"[green]rehearsed {self.settings.shape.name} in {took_s:.0f} s[/]: {path}", soft_wrap=True)
        differences = self.figures["parity_differences"]
        if differences:
            raise JobError(f"{differences} served prompts are not those that were trained on; {path} has the figures")


def look(settings: RehearsalSettings) -> None:
    """Raises UsageError or JobError for every problem that can be found before any work."""
    require_writable_folder(settings.out, "--out")
    if settings.port:
        check_port("127.0.0.1", settings.port)
    _check_capacity(settings)


def rehearse(settings: RehearsalSettings) -> None:
    """Runs all steps once and writes `rehearsal.json` into the output folder; raises JobError if a step fails."""
    look(settings)
    walk = Rehearsal(settings)
    walk.make_model()
    walk.make_dataset()
    walk.train(CPU_TRAINING)
    walk.export()
    with walk.served() as server:
        walk.compare(server)
        walk.score(server)
        walk.describe(server)
        walk.watch(server)
    walk.write()
    if not settings.keep:
        _delete_large_folders(settings)


def _check_capacity(settings: RehearsalSettings) -> None:
    weights_bytes = settings.shape.weights_bytes
    memory_bytes = free_memory_bytes()
    if memory_bytes is not None and memory_bytes < MEMORY_FACTOR * weights_bytes:
        raise JobError(
            f"the rehearsal needs {MEMORY_FACTOR * weights_bytes / 1e9:.1f} GB of memory, and "
            f"{memory_bytes / 1e9:.1f} GB is free; end other programs, or skip it: scripts/test.sh --no-rehearsal"
        )
    there_bytes = sum(path.stat().st_size for path in settings.out.rglob("*.safetensors"))
    parent = next(folder for folder in (settings.out.absolute(), *settings.out.absolute().parents) if folder.exists())
    needed_bytes, free_bytes = DISK_FACTOR * weights_bytes - there_bytes, shutil.disk_usage(parent).free
    if free_bytes < needed_bytes:
        raise JobError(
            f"the rehearsal writes {needed_bytes / 1e9:.1f} GB, and {parent} has {free_bytes / 1e9:.1f} GB free; free "
            "some space, or name another folder with --out"
        )


def _write_model(settings: RehearsalSettings) -> None:
    trainer = environment("train")
    size = settings.shape.size
    words = [str(trainer.python), "-m", "tools.rehearsal.checkpoint", size, str(settings.model)]
    variables = trainer.variables() | {"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'src'}", "HF_HUB_OFFLINE": "1"}
    if wait_for(subprocess.Popen(words, env=variables)) != 0:
        raise JobError("the model could not be written, see above; fix the cause and run the same command again")


async def _ask(settings: RehearsalSettings, server: RunningServer) -> dict[str, Any]:
    """Measures how verdicts are read and how many tokens a window takes, and describes one window."""
    contract = read_manifest(settings.merged).contract
    endpoint = Endpoint(url=server.url, model=server.model, api_key=server.key)
    jpegs = _window(settings.data, frames=contract.sampling.frames)
    task = load_question(contract.task)
    async with await Judge.connect(
        endpoint, task, contract.sampling, deadline_s=DEADLINE_S, min_label_probability=0.0
    ) as judge:
        verdict = await judge.verdict(jpegs)
        description = await judge.describe(jpegs, max_tokens=DESCRIPTION_TOKENS, describe_normal=True, known=verdict)
    if not description.text:
        raise JobError(
            f"the description is empty: {description.detail or 'no text'}; the server's output is in {server.log}"
        )
    return {
        "verdict_way": judge.label_tokens.method,
        "tokens_per_window": verdict.tokens - 1,
        "description": description.text,
    }


def _window(data: Path, *, frames: int) -> tuple[bytes, ...]:
    """The JPEGs of a full window of the dataset, as the judge sends them."""
    return next(example.jpegs for example in read_examples(data) if len(example.frames) == frames)


def _delete_large_folders(settings: RehearsalSettings) -> None:
    for folder in (settings.out / "models", settings.out / "saves", settings.data, settings.clips):
        shutil.rmtree(folder, ignore_errors=True)


def _read_json(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read
