"""An https endpoint behind an authority of one's own: one trust for every client, and words for what is refused."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from app.endpoint_monitor import EndpointMonitor, EndpointStatus

from judging import IDS, SAMPLING, TASK, tokenized, yes
from scripted_server import Reply, ScriptedServer, stream
from tls import Authority
from vigil.analysis.analysis import open_judge
from vigil.chat.conversation import ChatClient
from vigil.errors import EndpointError, UsageError
from vigil.judge import Endpoint, Judge
from vigil.parity.served import TokenizeClient
from vigil.questions import Question
from vigil.verdict import Cause, Outcome, Verdict
from vigil.watch import WatchSettings

SAYS_YES = {"token_id:7": -0.1, "token_id:9": -3.0}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[ScriptedServer]:
    with ScriptedServer(models=["tiny"], tls=authority.server()) as running:
        running.routes["/tokenize"] = tokenized(IDS)
        running.routes["/metrics"] = Reply(body=b"vllm:num_requests_running 2.0\nvllm:num_requests_waiting 1.0\n")
        running.default = lambda asked: (
            stream("Yes", ", a fight", logprobs=SAYS_YES) if asked.body.get("stream") else yes()
        )
        yield running


def ask(endpoint: Endpoint, jpegs: list[bytes]) -> tuple[Verdict, Verdict]:
    async def run() -> tuple[Verdict, Verdict]:
        async with await Judge.connect(endpoint, TASK, SAMPLING, retries=0) as judge:
            return await judge.verdict(jpegs), await judge.describe(jpegs)

    return asyncio.run(run())


def refusal(endpoint: Endpoint) -> str:
    with pytest.raises(EndpointError) as caught:
        asyncio.run(Judge.connect(endpoint, TASK, SAMPLING, retries=0))
    return str(caught.value)


def test_a_named_authority_counts_for_every_request_of_the_judge(
    secure: ScriptedServer, authority: Authority, jpegs: list[bytes]
) -> None:
    verdict, words = ask(Endpoint(url=secure.url, ca_file=authority.file), jpegs)
    assert (verdict.outcome, words.text) == (Outcome.ALARM, "Yes, a fight")
    asked = {"/v1/models", "/vigil.json", "/tokenize", "/v1/chat/completions"}
    assert {request.path for request in secure.requests} == asked


def test_the_authority_of_the_environment_counts_for_every_request_alike(
    secure: ScriptedServer, authority: Authority, jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    verdict, words = ask(Endpoint(url=secure.url), jpegs)
    assert (verdict.outcome, words.text) == (Outcome.ALARM, "Yes, a fight")


def test_the_status_line_the_chat_and_parity_trust_the_same(secure: ScriptedServer, authority: Authority) -> None:
    endpoint = Endpoint(url=secure.url, ca_file=authority.file)

    async def status() -> EndpointStatus:
        board = EndpointMonitor(endpoint, WatchSettings(url=secure.url, ca_file=authority.file))
        following = asyncio.create_task(board.follow())
        while not board.now.polled:
            await asyncio.sleep(0.01)
        following.cancel()
        return board.now

    async def said() -> str:
        async with ChatClient(endpoint) as talker:
            return "".join([piece async for piece in talker.answer("tiny", [], max_tokens=8)])

    async def served() -> str:
        async with TokenizeClient(endpoint) as asker:
            return (await asker.find_model()).model

    now = asyncio.run(status())
    assert (now.problem, now.load) == (None, (2, 1))
    assert (asyncio.run(said()), asyncio.run(served())) == ("Yes, a fight", "tiny")


def test_an_analysis_trusts_the_same(secure: ScriptedServer, authority: Authority, jpegs: list[bytes]) -> None:
    endpoint = Endpoint(url=secure.url, ca_file=authority.file)
    settings = WatchSettings(url=secure.url, ca_file=authority.file)

    async def said(task: Question | None) -> Verdict:
        asked = "Who?" if task is None else task.text
        question = Question(name="q", language="en", text=asked, labels=() if task is None else task.labels)
        async with await open_judge(endpoint, question, settings) as judge:
            return await judge.verdict(jpegs)

    assert asyncio.run(said(None)).text == "Yes, a fight"
    assert asyncio.run(said(TASK)).outcome is Outcome.ALARM


def test_the_chat_speaks_of_the_certificate_and_of_no_server_to_start(secure: ScriptedServer) -> None:
    async def said() -> str:
        async with ChatClient(Endpoint(url=secure.url)) as talker:
            return "".join([piece async for piece in talker.answer("tiny", [], max_tokens=8)])

    with pytest.raises(EndpointError, match="certificate is not trusted") as caught:
        asyncio.run(said())
    assert "--ca-file" in str(caught.value) and "vllm.sh" not in str(caught.value)


def test_a_certificate_that_nobody_vouches_for_is_told_with_what_to_do(secure: ScriptedServer) -> None:
    message = refusal(Endpoint(url=secure.url))
    assert "certificate is not trusted" in message and "--ca-file" in message and "vllm.sh" not in message
    assert secure.requests == []


def test_a_certificate_of_another_name_is_told_as_that(authority: Authority, tmp_path: Path) -> None:
    with ScriptedServer(models=["tiny"], tls=authority.server(name="DNS:cameras.example")) as server:
        message = refusal(Endpoint(url=server.url, ca_file=authority.file))
    assert "certificate is not trusted" in message and "use the name in the certificate" in message


def test_an_https_address_of_a_plain_server_is_told(server: ScriptedServer) -> None:
    assert "does not use TLS" in refusal(Endpoint(url=server.url.replace("http:", "https:")))


def test_a_certificate_that_is_exchanged_while_watching_is_an_unknown_that_speaks_of_it(
    secure: ScriptedServer, authority: Authority, tmp_path: Path, jpegs: list[bytes]
) -> None:
    async def run() -> Verdict:
        async with await Judge.connect(
            Endpoint(url=secure.url, ca_file=authority.file), TASK, SAMPLING, media="video", retries=0
        ) as judge:
            port = int(secure.url.rpartition(":")[2].removesuffix("/v1"))
            secure.__exit__()
            with ScriptedServer(models=["tiny"], tls=Authority.make(tmp_path / "other").server(), port=port):
                return await judge.verdict(jpegs)

    verdict = asyncio.run(run())
    assert verdict.cause is Cause.UNREACHABLE and "certificate is not trusted" in verdict.detail


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_file_without_a_certificate_is_refused_at_once(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=r"certificates in .*ca\.pem cannot be read"):
        Endpoint(url="https://127.0.0.1:1/v1", ca_file=file)


@pytest.mark.parametrize(
    ("variable", "name", "told"),
    [
        ("SSL_CERT_FILE", "gone.pem", r"SSL_CERT_FILE names .*no file"),
        ("SSL_CERT_FILE", "other.pem", r"SSL_CERT_FILE names .*no PEM certificate"),
        ("SSL_CERT_DIR", "gone", r"SSL_CERT_DIR names .*no folder"),
    ],
)
def test_a_variable_that_names_no_certificates_is_told(
    variable: str, name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.pem").write_text("something else")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / name))
    with pytest.raises(UsageError, match=told):
        Endpoint(url="https://127.0.0.1:1/v1")
