import asyncio
import logging
import shutil
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from judging import SAMPLING, TASK, connect, yes
from scripted_server import Reply, ScriptedServer, error
from vigil.errors import EndpointError
from vigil.frames import FrameSampling
from vigil.judge import Endpoint, Judge
from vigil.manifest import Contract


def failure(server: ScriptedServer, **settings: object) -> str:
    with pytest.raises(EndpointError) as caught:
        asyncio.run(connect(server, **settings))
    return str(caught.value)


def connected(server: ScriptedServer, **settings: object) -> Judge:
    """A judge that has connected and is closed again, to look at what it found out."""

    async def run() -> Judge:
        async with await connect(server, **settings) as judge:
            return judge

    return asyncio.run(run())


def card(name: str, **more: object) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 1, "owned_by": "vllm", "root": "models/a"} | more


def serve_cards(server: ScriptedServer, *cards: dict[str, object]) -> None:
    server.routes["/v1/models"] = Reply(body={"object": "list", "data": list(cards)})


def test_a_server_that_is_not_up_is_told_with_the_command_that_starts_one() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(EndpointError, match=r"nothing answers at .* \(Connection refused\); .*vllm\.sh"):
            asyncio.run(Judge.connect(Endpoint(url=url), TASK, SAMPLING, retries=0))


def test_a_wrong_key_is_told_with_the_place_for_the_right_one() -> None:
    with ScriptedServer(api_key="right") as server:
        assert "refused the key" in failure(server)


def test_a_model_that_is_not_served_is_told_with_those_that_are(server: ScriptedServer) -> None:
    with pytest.raises(EndpointError, match="has no model 'big'; it serves tiny"):
        asyncio.run(Judge.connect(Endpoint(url=server.url, model="big"), TASK, SAMPLING))


def test_several_models_need_a_name(server: ScriptedServer) -> None:
    server.models = ["a", "b"]
    assert "name one with --model: a, b" in failure(server)


def test_a_base_and_its_lora_are_two_models_and_need_a_name(server: ScriptedServer) -> None:
    alias = Contract.of(TASK, SAMPLING).alias
    serve_cards(server, card("base"), card("fight", root="saves/fight", parent="base"), card(alias, root="saves/fight"))
    assert "name one with --model: base, fight" in failure(server)


def test_two_names_of_one_model_need_none(server: ScriptedServer) -> None:
    serve_cards(server, card("m"), card("also-m"), card(Contract.of(TASK, SAMPLING).alias))
    assert connected(server).model == "m"


def test_an_answer_that_is_no_list_of_models_is_told(server: ScriptedServer) -> None:
    server.routes["/v1/models"] = Reply(body=b"<html>a router's login page</html>")
    assert "does not list its models" in failure(server)


def test_a_contract_that_fits_has_no_differences(server: ScriptedServer) -> None:
    serve_cards(server, card("m"), card(Contract.of(TASK, SAMPLING).alias))
    judge = connected(server, strict=True)
    assert judge.contract_differences == () and judge.model == "m"


def test_another_contract_is_a_warning_and_strictly_an_error(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    serve_cards(server, card("m"), card(Contract.of(TASK, FrameSampling()).alias))
    with caplog.at_level(logging.WARNING):
        judge = connected(server)
    assert judge.contract_differences == ("max_pixels is 12288 here and 131072 at the server",)
    assert "max_pixels is 12288 here" in caplog.text
    assert "was trained otherwise" in failure(server, strict=True)


def test_the_contract_of_other_weights_is_not_taken(server: ScriptedServer) -> None:
    serve_cards(server, card("m"), card(Contract.of(TASK, SAMPLING).alias, root="models/b"))
    assert "does not tell its contract" in failure(server, strict=True)


def test_a_context_that_is_too_short_is_told_before_anything_is_sent(server: ScriptedServer) -> None:
    serve_cards(server, card("m", max_model_len=64))
    message = failure(server)
    assert "--max-model-len" in message and "served with 64" in message
    assert server.chats == []


@pytest.mark.parametrize("status", [400, 404, 415, 422, 501])
def test_a_server_that_takes_no_frame_lists_is_asked_with_images(server: ScriptedServer, status: int) -> None:
    server.queue(error(status, "video is not supported"))
    server.default = yes()
    assert connected(server, media=None).media == "images"


def test_a_server_that_takes_no_pictures_cannot_be_used(server: ScriptedServer) -> None:
    server.default = error(400, "text only")
    assert "takes neither" in failure(server, media=None)


def test_a_proxy_of_the_environment_is_passed_by(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert connected(server).model == "tiny"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_server_whose_certificate_nobody_vouches_for_is_not_given_the_key(tmp_path: Path) -> None:
    asked: list[str] = []

    class Impostor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization", ""))

        def log_message(self, *_: object) -> None: ...

    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    files = {"-keyout": tmp_path / "key.pem", "-out": tmp_path / "cert.pem"}
    subprocess.run([*make, *(str(word) for pair in files.items() for word in pair)], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files["-out"], files["-keyout"])
    with ThreadingHTTPServer(("127.0.0.1", 0), Impostor) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = Endpoint(url=f"https://127.0.0.1:{server.server_port}/v1", api_key="secret")
        with pytest.raises(EndpointError):
            asyncio.run(Judge.connect(endpoint, TASK, SAMPLING, retries=0))
        server.shutdown()
    assert asked == []


def test_a_redirect_of_the_list_of_models_is_not_followed(server: ScriptedServer) -> None:
    with ScriptedServer(models=["tiny"]) as other:
        server.routes["/v1/models"] = Reply(status=302, headers={"Location": f"{other.url}/models"})
        assert "does not list its models" in failure(server)
        assert other.requests == []
