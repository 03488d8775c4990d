"""What Vigil writes for others to read, byte for byte: contracts, manifests, scores and lines of events."""

import io
from pathlib import Path

import pytest

from golden_files import RENEW, check_golden
from incidents import make_event, make_judged
from scoring import answer
from vigil.config import config_root, read_yaml
from vigil.events import EventChange, TierThresholds
from vigil.frames import FrameSampling
from vigil.manifest import Base, Calibration, Contract, Manifest
from vigil.questions import load_question
from vigil.score.journal import Throughput
from vigil.score.scorecard import Score, figures
from vigil.verdict import Cause
from vigil.watch.file_outputs import JsonLinesWriter

ANSWERS = tuple(
    answer(p, label, clip=f"{label}/{number}", windows=2)
    for number, (p, label) in enumerate([(0.9, "alarm"), (0.4, "alarm"), (0.2, "normal"), (0.7, "normal")])
)


def test_the_alias_of_every_task_with_verdict_words_is_as_it_was() -> None:
    tasks = sorted(path.stem for path in (config_root() / "tasks").glob("*.yaml") if "alarm_word" in read_yaml(path))
    aliases = [Contract.of(load_question(task), FrameSampling()).alias for task in tasks]
    check_golden("aliases.txt", "".join(f"{task}: {alias}\n" for task, alias in zip(tasks, aliases, strict=True)))


def test_a_manifest_is_as_it_was(tmp_path: Path) -> None:
    manifest = Manifest(
        contract=Contract.of(load_question("fight"), FrameSampling()),
        base_model="models/Qwen3-VL-2B-Instruct",
        template="qwen3_vl_nothink",
        data_digest="0123456789abcdef",
        examples=424,
        created_utc="2026-11-29T11:23:00Z",
        vigil_version="0.1.0",
        calibration=Calibration(temperature=1.5, bias=-0.25, clips=96),
        training={"learning_rate": 1e-4, "epochs": 3},
        base=Base(name="Qwen/Qwen3-VL-2B-Instruct", source="modelscope", revision="89644892", sha256="ab" * 32),
    )
    check_golden("manifest.json", manifest.write(tmp_path).read_text(encoding="utf-8"))


def test_the_json_of_a_score_is_as_it_was(tmp_path: Path) -> None:
    unknown = answer(None, "alarm", clip="alarm/9", cause=Cause.TIMEOUT)
    score = Score(
        model="fight-lora",
        figures=figures([*ANSWERS, unknown]),
        windows=figures(ANSWERS),
        pace=Throughput(requests=10, p50_ms=120.5, p95_ms=300.0, requests_per_s=8.25),
        answers=(*ANSWERS, unknown),
        notes={"unanswered": {"timeout": 1}},
    )
    score.write(tmp_path / "score.json")
    check_golden("score.json", (tmp_path / "score.json").read_text(encoding="utf-8"))


def test_the_json_lines_of_a_watch_are_as_they_were() -> None:
    file = io.BytesIO()
    writer = JsonLinesWriter(file, TierThresholds())
    event = make_event(id="20261129T112300000Z-9f3c21ab", camera_id="cam_9f3c21ab")
    writer.on_result(make_judged(0, 0.9, text="两个人在打架"))
    writer.on_result(make_judged(1, None))
    writer.on_change(EventChange("opened", event, sequence=7))
    writer.on_change(EventChange("raised", event, late=True, sequence=8))
    check_golden("watch.jsonl", file.getvalue().decode())


def test_a_golden_file_that_differs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RENEW, raising=False)
    with pytest.raises(AssertionError, match="VIGIL_RENEW_GOLDEN=1"):
        check_golden("aliases.txt", "other")
