"""A server process is watched, and ended with everything that it started. Small real servers stand in for vLLM."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from process_group import living, wait_until_gone
from vigil.errors import JobError, UsageError
from vigil.serving.command import ServerCommand
from vigil.serving.foreground import LogTail, ServerStopped, root_url, stop_on_signals
from vigil.serving.server import check_port, free_port, start_server
from waiting import HANG_S

FAMILY = """
import subprocess, sys, http.server
print("Starting to load model x", flush=True)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""


def _command(script: str, *words: str) -> ServerCommand:
    return ServerCommand(argv=(sys.executable, "-c", script, *words), variables={})


def test_it_is_ready_when_it_answers_and_leaves_no_child_behind(tmp_path: Path) -> None:
    port = free_port()
    process = start_server(_command(FAMILY, str(port)), log=tmp_path / "log", variables=dict(os.environ))
    try:
        assert process.wait_until_ready(f"http://127.0.0.1:{port}", timeout_s=HANG_S) > 0
        assert len(living(process.child.pid)) == 2
    finally:
        process.stop()
    assert wait_until_gone(process.child.pid) == []


def test_a_server_that_dies_is_told_at_once(tmp_path: Path) -> None:
    script = "import sys; sys.exit('ValueError: no such thing')"
    process = start_server(_command(script), log=tmp_path / "log", variables=dict(os.environ))
    with pytest.raises(JobError, match="ValueError: no such thing"):
        process.wait_until_ready("http://127.0.0.1:9", timeout_s=HANG_S)
    process.stop()


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    process = start_server(_command("import time; time.sleep(60)"), log=tmp_path / "log", variables=dict(os.environ))
    with pytest.raises(JobError, match="not ready after 0 s"):
        process.wait_until_ready("http://127.0.0.1:9", timeout_s=0.2)
    process.stop()


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="could not be started"):
        start_server(ServerCommand(argv=("/nowhere/python",), variables={}), log=tmp_path / "log", variables={})


def test_a_free_port_is_none_that_a_connection_may_take_before_it_is_used() -> None:
    found = {free_port() for _ in range(20)}
    assert len(found) > 1 and all(20_000 <= port < 32_768 for port in found)
    for port in found:
        check_port("127.0.0.1", port)


def test_a_busy_port_is_told_before_anything_starts() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(UsageError, match=rf"cannot listen on 127.0.0.1:{port} .*--port"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


@pytest.mark.parametrize("port", [-1, 0, 65_536])
def test_a_number_that_is_no_port_is_told(port: int) -> None:
    with pytest.raises(UsageError, match=f"there is no port {port}"):
        check_port("127.0.0.1", port)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP])
def test_a_server_is_ended_by_what_ends_its_starter(sign: signal.Signals) -> None:
    with pytest.raises(ServerStopped), stop_on_signals():
        os.kill(os.getpid(), sign)


def test_a_server_under_nohup_outlives_the_connection() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_log_is_read_line_by_line(tmp_path: Path) -> None:
    follower = LogTail(tmp_path / "log")
    (tmp_path / "log").write_text("one\ntwo\nthr")
    assert follower.new_lines() == ["one", "two"]
    with (tmp_path / "log").open("a") as log:
        log.write("ee\n")
    assert follower.new_lines() == ["three"]


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("0.0.0.0", "http://127.0.0.1:1"), ("::1", "http://[::1]:1")],
)
def test_the_address_is_one_that_this_machine_reaches(host: str, url: str) -> None:
    assert root_url(host, 1) == url
