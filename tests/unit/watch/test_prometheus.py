import asyncio
import socket
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from vigil.errors import UsageError
from vigil.serving.server import free_port
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict
from vigil.watch import SourceState, Watcher
from vigil.watch.prometheus import PrometheusMetrics
from vigil.watch.state import SourceStatus
from waiting import HANG_S
from watching import Notes, bright_server, film, watched


class Measured(Notes):
    """Notes that hand everything on to the metrics."""

    def __init__(self, metrics: PrometheusMetrics) -> None:
        super().__init__()
        self.on_state = metrics.on_state  # type: ignore[method-assign]
        self.on_verdict = metrics.on_verdict  # type: ignore[method-assign]
        self.on_result = metrics.on_result  # type: ignore[method-assign]
        self.on_change = metrics.on_change  # type: ignore[method-assign]


def test_the_metrics_tell_windows_events_latency_and_the_breaker(tmp_path: Path) -> None:
    metrics, port = PrometheusMetrics(), free_port()
    metrics.serve(port)

    def follow(watch: Watcher) -> None:
        metrics.follow(watch)

    with bright_server() as server:
        file = film(tmp_path / "a.mp4", seconds=24, bright=[(6, 12)])
        (tmp_path / "b.mp4").write_bytes(b"no video")
        sources = [file, tmp_path / "b.mp4"]
        summary = asyncio.run(watched(server, sources, Measured(metrics), on_start=follow))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=HANG_S) as answer:
            text = answer.read().decode()
    state = summary.sources[0]
    a, b = (each.camera_id for each in summary.sources)
    assert a.startswith("cam_") and a != b
    assert f'vigil_windows_total{{camera="{a}",cause="",outcome="alarm",source="a.mp4"}} {float(state.alarms)}' in text
    assert f'vigil_events_total{{camera="{a}",source="a.mp4"}} 1.0' in text
    assert f'vigil_verdict_seconds_count{{camera="{a}",source="a.mp4"}} {float(state.judged)}' in text
    assert f'vigil_windows_total{{camera="{b}",cause="unreadable",outcome="unknown",source="b.mp4"}} 1.0' in text
    assert f'vigil_tokens_total{{camera="{a}",source="a.mp4"}} {float(state.tokens)}' in text
    assert f'vigil_words_skipped{{camera="{a}",source="a.mp4"}} 0.0' in text
    assert "vigil_breaker 0.0" in text


def judged(number: int, verdict: Verdict) -> JudgedWindow:
    return JudgedWindow(
        source="door", window=number, verdict=replace(verdict, start_s=2.0 * number, end_s=2.0 * number + 2.5)
    )


@pytest.mark.parametrize("stage", [SourceStatus.LOST, SourceStatus.PAUSED, SourceStatus.ENDED])
def test_the_probability_of_a_source_that_is_not_watched_is_none(stage: SourceStatus) -> None:
    metrics = PrometheusMetrics()
    metrics.on_verdict(judged(0, Verdict(outcome=Outcome.ALARM, p_alarm=0.9)))
    assert metrics.registry.get_sample_value("vigil_p_alarm", {"source": "door", "camera": ""}) == 0.9
    for _ in range(2):
        metrics.on_state(SourceState(name="door", live=True, stage=stage))
        assert metrics.registry.get_sample_value("vigil_p_alarm", {"source": "door", "camera": ""}) is None


@pytest.mark.parametrize(
    ("cause", "kept"),
    [(Cause.TIMEOUT, False), (Cause.UNREACHABLE, False), (Cause.DROPPED, True), (Cause.SKIPPED, True)],
)
def test_a_window_without_a_verdict_takes_the_probability_of_the_one_before_away(cause: Cause, kept: bool) -> None:
    metrics, state = PrometheusMetrics(), SourceState(name="door", live=True, stage=SourceStatus.WATCHING)
    for number, verdict in enumerate((Verdict(outcome=Outcome.ALARM, p_alarm=0.9), Verdict.unknown(cause))):
        metrics.on_verdict(judged(number, verdict))
        state.count(judged(number, verdict))
    shown = metrics.registry.get_sample_value("vigil_p_alarm", {"source": "door", "camera": ""})
    assert (shown, state.p_alarm) == ((0.9, 0.9) if kept else (None, None))


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="choose another port"):
            PrometheusMetrics().serve(taken.getsockname()[1])
