import asyncio
import socket
import urllib.request
from pathlib import Path

import pytest

from vigil.errors import UsageError
from vigil.watch import Watch
from vigil.watch.metrics import Metrics
from watching import Notes, bright_server, film, watched


class Measured(Notes):
    """Notes that hand everything on to the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self.state = metrics.state  # type: ignore[method-assign]
        self.judged = metrics.judged  # type: ignore[method-assign]
        self.told = metrics.told  # type: ignore[method-assign]
        self.changed = metrics.changed  # type: ignore[method-assign]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_metrics_tell_windows_events_latency_and_the_breaker(tmp_path: Path) -> None:
    metrics, port = Metrics(), free_port()
    metrics.serve(port)

    def follow(watch: Watch) -> None:
        metrics.follow(watch)

    with bright_server() as server:
        file = film(tmp_path / "a.mp4", seconds=24, bright=[(6, 12)])
        (tmp_path / "b.mp4").write_bytes(b"no video")
        sources = [file, tmp_path / "b.mp4"]
        summary = asyncio.run(watched(server, sources, Measured(metrics), on_start=follow))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    state = summary.sources[0]
    assert f'vigil_windows_total{{cause="",outcome="alarm",source="a.mp4"}} {float(state.alarms)}' in text
    assert 'vigil_events_total{source="a.mp4"} 1.0' in text
    assert f'vigil_verdict_seconds_count{{source="a.mp4"}} {float(state.judged)}' in text
    assert 'vigil_windows_total{cause="unreadable",outcome="unknown",source="b.mp4"} 1.0' in text
    assert f'vigil_tokens_total{{source="a.mp4"}} {float(state.tokens)}' in text
    assert 'vigil_words_skipped{source="a.mp4"} 0.0' in text
    assert "vigil_breaker 0.0" in text


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="choose another port"):
            Metrics().serve(taken.getsockname()[1])
