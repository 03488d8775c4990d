"""Every command of docs/service.md does what the page says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import http_camera
from api_service import filled_store, service_at
from scripted_server import ScriptedServer
from waiting import HANG_S, until
from watching import film

PAGE = Path(__file__).resolve().parents[3] / "docs" / "service.md"


def commands() -> list[str]:
    """The commands of the page, line by line."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_the_commands_of_the_page_work(
    endpoint: ScriptedServer, camera: http_camera.HttpCamera, tmp_path: Path
) -> None:
    store = filled_store(tmp_path / "vigil-store" / "events.db")
    film(tmp_path / "clip.mp4", seconds=4, bright=[(0, 4)])
    start, *lines = commands()
    port = camera.server_address[1]
    words = start.split()
    assert words[:2] == ["vigil", "service"] and words[-2] == "--allow-camera"
    with service_at(endpoint.url, "--allow-camera", f"127.0.0.1:{port}", folder=tmp_path, store=store) as service:
        with service.client() as asking:
            until(lambda: asking.get("/ready").status_code == 200)
        place = service.site.url.rstrip("/")
        told = ["set -e", "vigil() { " + f'{sys.executable} -m vigil "$@"; }}']
        for line in lines:
            told.append(line.replace("http://127.0.0.1:7860", place).replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
            told.append("echo; echo ----")
        done = subprocess.run(
            ["bash", "-c", "\n".join(told)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    said = dict(zip(lines, done.stdout.split("----"), strict=False))
    answers = {line: each.strip() for line, each in said.items() if line.startswith("curl")}
    assert not [line for line, each in answers.items() if "urn:vigil:problem" in each], answers
    assert '"name":"door"' in next(each for line, each in answers.items() if line.endswith("$API/cameras"))
    assert next(each for line, each in answers.items() if "If-None-Match" in line) == "304"
    judged = json.loads(next(each for line, each in answers.items() if "clip.mp4" in line))
    assert judged["verdict"]["outcome"] == "alarm"
    assert "event: ready" in next(each for line, each in answers.items() if "$API/live" in line)
    *_, by_key, by_password = answers.values()
    assert json.loads(by_key)["scopes"] == ["events", "live"] and json.loads(by_password)["role"] == "admin"
