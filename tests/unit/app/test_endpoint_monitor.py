import asyncio
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from app.endpoint_monitor import EndpointMonitor, EndpointStatus, status_line
from app.language import translator

from scripted_server import Reply, ScriptedServer, error
from vigil.frames import FrameSampling
from vigil.judge import Endpoint
from vigil.judge.discovery import ServedModel
from vigil.manifest import Calibration, Contract, Manifest
from vigil.questions import load_question
from vigil.watch import WatchSettings
from waiting import HANG_S, until_async

ALIAS = Contract.of(load_question("fight"), FrameSampling(max_pixels=12_288)).alias
METRICS = b"""# HELP vllm:num_requests_running Number of requests
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 1.0
vllm:num_requests_waiting_by_reason{engine="0"} 7.0
"""


def seen(server: ScriptedServer, **settings: Any) -> EndpointStatus:
    async def ask() -> EndpointStatus:
        board = EndpointMonitor(Endpoint(url=server.url), WatchSettings(url=server.url, **settings))
        job = asyncio.create_task(board.follow())
        async with asyncio.timeout(HANG_S):
            while not board.now.polled:
                await asyncio.sleep(0.01)
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job
        return board.now

    return asyncio.run(ask())


def test_a_server_that_is_up_tells_model_contract_and_load() -> None:
    with ScriptedServer(models=["tiny", ALIAS]) as server:
        server.routes["/metrics"] = Reply(body=METRICS)
        status = seen(server)
    assert status.is_up
    assert [model.name for model in status.models] == ["tiny"]
    assert status.load == (3, 1)


def test_a_contract_beside_the_list_of_models_is_seen_too() -> None:
    held = Contract.of(load_question("fight"), FrameSampling(max_pixels=12_288))
    with ScriptedServer(models=["tiny"]) as server:
        server.routes["/vigil.json"] = Reply(body={"models": {"tiny": {"contract": asdict(held)}}})
        assert seen(server).differences == ()
        assert seen(server, task="fall").differences


@pytest.mark.parametrize("calibration", [None, Calibration(temperature=2.0)])
def test_the_pages_say_whether_probabilities_are_calibrated(tmp_path: Path, calibration: Calibration | None) -> None:
    contract = Contract.of(load_question("fight"), FrameSampling(max_pixels=12_288))
    Manifest(contract=contract, base_model="", template="", calibration=calibration).write(tmp_path)
    with ScriptedServer(models=["tiny", ALIAS]) as server:
        status = seen(server, model_dir=tmp_path)
        without = seen(server)
    for language, no, yes in (("en", "not calibrated", "> calibrated"), ("zh", "未校准", "已校准")):
        line = status_line(status, Endpoint(url=server.url), translator(language))  # type: ignore[arg-type]
        assert (no in line, yes in line) == (calibration is None, calibration is not None)
        assert no in status_line(without, Endpoint(url=server.url), translator(language))  # type: ignore[arg-type]


def test_another_question_than_the_served_one_is_a_difference() -> None:
    with ScriptedServer(models=["tiny", ALIAS]) as server:
        assert seen(server, task="fall").differences is not None


def test_a_server_that_fails_for_now_comes_back_and_is_not_called_unusable() -> None:
    with ScriptedServer(models=["tiny", ALIAS]) as server:
        server.routes["/v1/models"] = error(503, "loading")
        status = seen(server)
    assert status.is_away and "503" in (status.problem or "")
    line = status_line(status, Endpoint(url=server.url), translator("en"))
    assert "reconnects automatically" in line and "cannot be used" not in line


def test_a_fault_of_the_figures_leaves_the_last_ones() -> None:
    async def loads(server: ScriptedServer) -> list[tuple[int, int] | None]:
        board = EndpointMonitor(Endpoint(url=server.url), WatchSettings(url=server.url))
        told = []
        for reply in (Reply(body=METRICS), error(503, "busy"), error(404, "no route")):
            server.routes["/metrics"] = reply
            before = EndpointStatus() if not told else EndpointStatus(load=told[-1], polled=True)
            board.now = before
            job = asyncio.create_task(board.follow())
            await until_async(lambda before=before: board.now is not before)
            job.cancel()
            with suppress(asyncio.CancelledError):
                await job
            told.append(board.now.load)
        return told

    with ScriptedServer(models=["tiny", ALIAS]) as server:
        assert asyncio.run(loads(server)) == [(3, 1), (3, 1), None]


def test_a_server_that_is_gone_is_told_with_what_to_do() -> None:
    with ScriptedServer() as server:
        pass
    status = seen(server)
    assert not status.is_up
    for language, words in (("en", "reconnects automatically"), ("zh", "自动恢复")):
        line = status_line(status, Endpoint(url=server.url), translator(language))  # type: ignore[arg-type]
        assert "./vllm.sh MODEL_DIR" in line
        assert words in line


def test_a_server_that_refuses_the_key_is_told_as_that() -> None:
    with ScriptedServer() as server:
        server.routes["/v1/models"] = Reply(status=401, body=b'{"error": {"message": "Unauthorized"}}')
        status = seen(server)
    assert (status.is_up, status.is_away) == (False, False)
    line = status_line(status, Endpoint(url=server.url), translator("en"))
    assert "refused the key" in line
    assert "./vllm.sh" not in line


def test_what_a_server_says_is_never_html() -> None:
    status = EndpointStatus(models=(ServedModel(name="<b onclick=x>"),), polled=True, differences=('"><i>',))
    line = status_line(status, Endpoint(), translator("en"))
    assert "<b onclick" not in line
    assert "<i>" not in line
