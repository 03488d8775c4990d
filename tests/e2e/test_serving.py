"""`vllm.sh` on the real vLLM: what it lets in, what it says, and that nothing of it is left behind."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from process_group import living, wait_until_gone
from vigil.environments import CHECKOUT
from vigil.frames import FrameSampling, encode_jpeg
from vigil.judge import Judge
from vigil.judge.contract import served_sampling
from vigil.judge.declared_contracts import read_declared_contracts
from vigil.judge.model_client import chat_messages
from vigil.questions import Question
from vigil.serving.server import RunningServer, free_port
from vigil.tiny import BASE_FOLDER
from waiting import HANG_S

pytestmark = pytest.mark.e2e
CACHED = "vllm:prefix_cache_hits_total{"


def _jpegs(count: int) -> list[bytes]:
    return [encode_jpeg(np.full((96, 128, 3), 5 * index, np.uint8), quality=90) for index in range(count)]


def _post(server: RunningServer, path: str, body: object, *, key: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {server.key if key is None else key}"}
    return httpx.post(f"{server.root}{path}", json=body, headers=headers, timeout=HANG_S, trust_env=False)


def _ask(server: RunningServer, media: str, count: int) -> httpx.Response:
    asked = chat_messages(_jpegs(count), "?", media="video" if media == "video" else "images", fps=2.0)
    return _post(server, "/v1/chat/completions", {"model": server.model, "messages": asked, "max_tokens": 1})


def test_a_window_six_images_and_plain_words_are_all_answered(server: RunningServer) -> None:
    assert _ask(server, "video", 6).status_code == 200
    assert _ask(server, "video", 2).status_code == 200
    assert _ask(server, "images", 6).status_code == 200
    text = {"model": server.model, "messages": [{"role": "user", "content": "?"}], "max_tokens": 1}
    assert _post(server, "/v1/chat/completions", text).status_code == 200


def test_no_frame_is_dropped_in_silence(server: RunningServer) -> None:
    used = [_ask(server, "video", count).json()["usage"]["prompt_tokens"] for count in (6, 32, 40)]
    assert used[0] < used[1] < used[2]


def test_a_further_question_about_a_window_finds_its_pictures_in_the_cache(server: RunningServer) -> None:
    noise = np.random.default_rng(os.getpid()).integers(0, 255, (6, 96, 128, 3)).astype(np.uint8)
    pictures = [encode_jpeg(image, quality=90) for image in noise]
    found = []
    for question in ("Is there smoke?", "Does anybody fall?"):
        before = _cached_tokens(server)
        asked = chat_messages(pictures, question, media="video", fps=2.0)
        body = {"model": server.model, "messages": asked, "max_tokens": 1}
        assert _post(server, "/v1/chat/completions", body).status_code == 200
        found.append(_cached_tokens(server) - before)
    assert found[1] >= 32, found


def _cached_tokens(server: RunningServer) -> float:
    """How many tokens of prompts the server has found in its cache so far."""
    (line,) = [line for line in _get(server, "/metrics").text.splitlines() if line.startswith(CACHED)]
    return float(line.split()[-1])


def test_every_path_that_answers_wants_the_key(server: RunningServer) -> None:
    for path in ("/v1/chat/completions", "/invocations", "/tokenize", "/detokenize"):
        assert _post(server, path, {}, key="wrong").status_code == 401, path
    assert httpx.get(f"{server.root}/metrics", trust_env=False, timeout=HANG_S).status_code == 401
    assert httpx.get(f"{server.root}/health", trust_env=False, timeout=HANG_S).status_code == 200


def test_the_key_is_in_no_command_line_and_not_in_the_log(server: RunningServer) -> None:
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert server.key not in listed
    assert server.key not in server.log.read_text(errors="replace")


def test_the_list_shows_one_entry_a_model_and_the_contract_is_told_beside_it(
    server: RunningServer, task: Question
) -> None:
    assert _get(server, "/v1/models").json()["data"][0]["id"] == "tiny"
    assert len(_get(server, "/v1/models").json()["data"]) == 1
    assert httpx.get(f"{server.root}/vigil.json", trust_env=False, timeout=HANG_S).status_code == 401
    assert read_declared_contracts(_get(server, "/vigil.json").content) == {"tiny": server.plan.contract}


def test_clients_read_the_contract_of_a_server_that_lists_none(
    server: RunningServer, task: Question, sampling: FrameSampling
) -> None:
    assert asyncio.run(served_sampling(server.endpoint())) == sampling

    async def connect() -> tuple[str, ...]:
        async with await Judge.connect(server.endpoint(), task, sampling, strict=True) as judge:
            return judge.contract_differences

    assert asyncio.run(connect()) == ()


def _get(server: RunningServer, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.get(f"{server.root}{path}", headers=headers, trust_env=False, timeout=HANG_S).raise_for_status()


def test_it_needs_little_memory(server: RunningServer) -> None:
    listed = subprocess.run(["ps", "-eo", "pgid=,rss="], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in listed.splitlines()]
    resident_kib = [rss for pgid, rss in rows if pgid == server.pid]
    assert sum(resident_kib) < 6 * 1024**2


@contextmanager
def _vllm_sh(*words: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [str(CHECKOUT / "vllm.sh"), str(BASE_FOLDER), "--task", "fight", "--max-pixels", "12288", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _server_pid(starter: int) -> int:
    children = Path(f"/proc/{starter}/task/{starter}/children").read_text().split()
    return int(children[0])


def _read_until_ready(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "stop      Ctrl-C" in line:
            break
    return "".join(said)


def test_vllm_sh_says_how_to_call_it_and_ends_with_everything_on_a_signal(tmp_path: Path, tiny_adapter: Path) -> None:
    port = free_port()
    words = ("--lora", f"fight={tiny_adapter}", "--max-num-seqs", "4")
    with _vllm_sh("--port", str(port), *words, folder=tmp_path) as process:
        said = _read_until_ready(process)
        assert "ready after" in said
        assert "cat .vigil/key" in said
        assert oct((tmp_path / ".vigil" / "key").stat().st_mode & 0o777) == "0o600"
        _check_adapter(f"http://127.0.0.1:{port}", (tmp_path / ".vigil" / "key").read_text().strip(), tiny_adapter)
        group = _server_pid(process.pid)
        with _vllm_sh("--port", str(port), folder=tmp_path) as second:
            told, _ = second.communicate(timeout=HANG_S)
        assert (second.returncode, f"cannot listen on 127.0.0.1:{port}" in told) == (2, True)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=HANG_S) == 0
    assert wait_until_gone(group) == []


def _check_adapter(root: str, key: str, adapter: Path) -> None:
    """Asserts that the adapter is served beside its base, under its own name and contract, and answers otherwise."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=root, headers=headers, timeout=HANG_S, trust_env=False) as client:
        cards = client.get("/v1/models").json()["data"]
        answers = [_first_logprob(client, name) for name in (BASE_FOLDER.name, "fight")]
    assert {card["id"]: card["root"] for card in cards} == {BASE_FOLDER.name: str(BASE_FOLDER), "fight": str(adapter)}
    assert answers[0] != answers[1]


def _first_logprob(client: httpx.Client, model: str) -> float:
    body = {
        "model": model,
        "messages": chat_messages(_jpegs(6), "?", media="video", fps=2.0),
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
    }
    answer = client.post("/v1/chat/completions", json=body).raise_for_status()
    return float(answer.json()["choices"][0]["logprobs"]["content"][0]["logprob"])


def test_a_starter_that_is_killed_takes_vllm_with_it(tmp_path: Path) -> None:
    with _vllm_sh("--port", str(free_port()), folder=tmp_path) as process:
        assert process.stdout is not None
        while "loading the weights" not in process.stdout.readline():
            assert process.poll() is None
        group = _server_pid(process.pid)
        assert len(living(group)) >= 2
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert wait_until_gone(group) == []


def test_an_unknown_flag_is_told_in_one_message(tmp_path: Path) -> None:
    with _vllm_sh("--port", str(free_port()), "--no-such-flag", "3", folder=tmp_path) as process:
        said, _ = process.communicate(timeout=HANG_S)
    assert process.returncode == 1
    assert "vLLM knows no flag --no-such-flag" in said
    assert "Traceback" not in said
