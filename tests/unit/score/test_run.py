import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from judging import SAMPLING, TASK
from scoring import brightness_server, by_brightness, slowed, write_dataset
from scripted_server import Reply, Request, ScriptedServer, error
from vigil.errors import DatasetError, EndpointError, SourceError
from vigil.judge import Endpoint
from vigil.score.eval_set import EvalClip, dataset_clips
from vigil.score.journal import read_journal
from vigil.score.run import ScoreResult, ScoreSettings, score_model
from vigil.verdict import Cause
from waiting import HANG_S, until

CLIPS = {
    "alarm/a": [250, 240],
    "alarm/b": [200],
    "alarm/c": [30],
    "normal/d": [10],
    "normal/e": [20, 40],
    "normal/f": [180],
}
TOTAL_WINDOWS = sum(map(len, CLIPS.values()))


def scored(server: ScriptedServer, clips: Sequence[EvalClip], tmp_path: Path, **settings: object) -> ScoreResult:
    return asyncio.run(
        score_model(
            Endpoint(url=server.url),
            TASK,
            SAMPLING,
            clips,
            journal=tmp_path / "verdicts.jsonl",
            settings=ScoreSettings(**({"media": "video", "deadline_s": HANG_S} | settings)),  # type: ignore[arg-type]
        )
    )


@pytest.fixture
def clips(tmp_path: Path) -> list[EvalClip]:
    return dataset_clips(write_dataset(tmp_path / "data", CLIPS), "test")


def test_every_clip_is_scored(tmp_path: Path, clips: list[EvalClip]) -> None:
    with brightness_server() as server:
        found = scored(server, clips, tmp_path).score
    assert found.figures.confusion == {"tp": 2, "fp": 1, "fn": 1, "tn": 2}
    assert [answer.clip for answer in found.answers] == list(CLIPS)
    assert found.windows is not None and found.windows.n == found.pace.requests == TOTAL_WINDOWS
    assert found.pace.requests_per_s and found.pace.p50_ms


def test_many_requests_are_under_way_but_never_more_than_allowed(tmp_path: Path, clips: list[EvalClip]) -> None:
    with brightness_server() as server:

        def held(request: Request) -> Reply:
            # Nobody is answered before as many ask as may.
            until(lambda: server.max_in_flight >= 3)
            return slowed(by_brightness(request), 0.05)

        server.default = held
        scored(server, clips, tmp_path, in_flight=3)
        assert server.max_in_flight == 3


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (error(400, "too long"), "rejected"),
        (Reply(status=200, body={"choices": []}), "unparseable"),
        (Reply(hang_up=True), "unreachable"),
    ],
)
def test_a_fault_is_counted_by_its_cause_and_never_normal(
    tmp_path: Path, clips: list[EvalClip], reply: Reply, cause: str
) -> None:
    def faulty(request: Request) -> Reply:
        answer = by_brightness(request)
        p_normal = answer.body["choices"][0]["logprobs"]["content"][0]["top_logprobs"][1]["logprob"]
        return reply if p_normal > -0.2 else answer

    with brightness_server() as server:
        server.default = faulty
        found = scored(server, clips, tmp_path, in_flight=40).score.figures
    assert found.unknown == {cause: 3}
    assert found.confusion == {"tp": 2, "fp": 1, "fn": 0, "tn": 0} and found.accuracy == pytest.approx(2 / 6)


def test_an_unreadable_clip_is_unknown_and_the_others_are_scored(tmp_path: Path, clips: list[EvalClip]) -> None:
    def broken() -> list:
        raise SourceError("zero bytes")

    unreadable = [EvalClip(name=n, label="alarm", group=n, windows=w) for n, w in (("x", broken), ("y", list))]
    with brightness_server() as server:
        found = scored(server, [*clips, *unreadable], tmp_path).score
    assert found.figures.unknown == {"unreadable": 2} and found.figures.n == len(CLIPS) + 2


def test_a_dataset_without_its_frames_stops_the_run(tmp_path: Path, clips: list[EvalClip]) -> None:
    (tmp_path / "data/frames/alarm/b/000-0.jpg").unlink()
    with brightness_server() as server, pytest.raises(DatasetError, match="build it again"):
        scored(server, clips, tmp_path)


def test_a_server_that_goes_away_ends_the_run_and_the_next_goes_on(tmp_path: Path, clips: list[EvalClip]) -> None:
    with brightness_server() as server:
        server.queue(*[by_brightness] * 3)
        server.default = Reply(hang_up=True)
        with pytest.raises(EndpointError, match="3 verdicts are kept"):
            scored(server, clips, tmp_path, in_flight=1)
        server.default = by_brightness
        before = len(server.chats)
        found = scored(server, clips, tmp_path, in_flight=1).score
        assert len(server.chats) - before == TOTAL_WINDOWS - 3
    assert found.figures.unknown == {} and found.windows is not None and found.windows.n == TOTAL_WINDOWS


def test_a_score_with_windows_that_the_endpoint_failed_is_not_closed(tmp_path: Path, clips: list[EvalClip]) -> None:
    with brightness_server() as server:
        server.queue(*[by_brightness] * 3)
        server.default = Reply(hang_up=True)
        lost = scored(server, clips, tmp_path, in_flight=40).score
        assert lost.notes["unanswered"] == {"unreachable": TOTAL_WINDOWS - 3}
        server.default = by_brightness
        before = len(server.chats)
        found = scored(server, clips, tmp_path, in_flight=40).score
        assert len(server.chats) - before == TOTAL_WINDOWS - 3
    assert found.figures.unknown == {} and found.notes["unanswered"] == {}


def test_a_server_that_only_fails_inside_is_gone_too(tmp_path: Path, clips: list[EvalClip]) -> None:
    with brightness_server() as server, pytest.raises(EndpointError, match=r"server_error.*; 0 verdicts are kept"):
        server.default = error(500, "the engine is dead", headers={"x-should-retry": "false"})
        scored(server, clips, tmp_path, in_flight=1)


def test_a_complete_score_is_made_anew(tmp_path: Path, clips: list[EvalClip]) -> None:
    with brightness_server() as server:
        for _ in range(2):
            scored(server, clips, tmp_path)
        assert len(server.chats) == 2 * TOTAL_WINDOWS


RUNNER = """
import asyncio, sys
from pathlib import Path
from scoring import TASK, SAMPLING
from vigil.judge import Endpoint
from vigil.score.eval_set import dataset_clips
from vigil.score.run import ScoreSettings, score_model
asyncio.run(score_model(Endpoint(url=sys.argv[1]), TASK, SAMPLING, dataset_clips(Path(sys.argv[2]), "test"),
    journal=Path(sys.argv[3]), settings=ScoreSettings(in_flight=1, media="video")))
"""


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_score_goes_on_where_it_was(tmp_path: Path, clips: list[EvalClip], blow: signal.Signals) -> None:
    tests = Path(__file__).parents[2]
    with brightness_server() as server:
        arguments = [sys.executable, "-c", RUNNER, server.url, str(tmp_path / "data"), str(tmp_path / "verdicts.jsonl")]
        process = subprocess.Popen(arguments, env=os.environ | {"PYTHONPATH": str(tests)}, stderr=subprocess.DEVNULL)

        def strike_at_the_fourth(request: Request) -> Reply:
            if len(server.chats) == 4:
                process.send_signal(blow)
                process.wait(timeout=HANG_S)
            return by_brightness(request)

        server.default = strike_at_the_fourth
        assert process.wait(timeout=HANG_S) != 0
        kept = len(read_journal(tmp_path / "verdicts.jsonl"))
        assert 2 <= kept <= 3
        server.default = by_brightness
        before = len(server.chats)
        found = scored(server, clips, tmp_path).score
        assert len(server.chats) - before == TOTAL_WINDOWS - kept
    assert found.figures.n == len(CLIPS) and found.figures.unknown == {}


def test_cancelling_leaves_no_request_behind(tmp_path: Path, clips: list[EvalClip]) -> None:
    async def stopped(server: ScriptedServer) -> None:
        judging = score_model(
            Endpoint(url=server.url),
            TASK,
            SAMPLING,
            clips,
            journal=tmp_path / "j.jsonl",
            settings=ScoreSettings(media="video"),
        )
        task = asyncio.create_task(judging)
        while not server.chats:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with brightness_server() as server:
        server.default = lambda request: slowed(by_brightness(request), 5.0)
        asyncio.run(stopped(server))
    assert all(record.cause is not Cause.CANCELLED for record in read_journal(tmp_path / "j.jsonl"))
