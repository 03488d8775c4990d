"""A server on this machine that speaks the S3 protocol, as a process of its own (moto's), and a bucket on it."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vigil.serving.server import free_port
from waiting import HANG_S, until

BUCKET = "evidence"


@contextmanager
def running_s3(log: Path) -> Iterator[Mapping[str, str]]:
    """A server with an empty bucket until the block ends; yields the environment that leads to it."""
    port = free_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    program = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as out, subprocess.Popen(program, stdout=out, stderr=out, env=os.environ | environment) as moto:
        try:
            until(lambda: _is_made(environment["AWS_ENDPOINT_URL"], moto, log))
            yield environment
        finally:
            moto.terminate()
            moto.wait(timeout=HANG_S)


def _is_made(endpoint: str, moto: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert moto.poll() is None, log.read_text(encoding="utf-8")
    try:
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT"), timeout=HANG_S).close()
    except urllib.error.URLError:
        return False
    return True


def objects(endpoint: str) -> set[str]:
    """The keys of all objects in the bucket, as the server says itself."""
    with urllib.request.urlopen(f"{endpoint}/{BUCKET}?list-type=2", timeout=HANG_S) as answer:
        return set(re.findall("<Key>(.*?)</Key>", answer.read().decode()))
