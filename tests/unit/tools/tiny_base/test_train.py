"""The recipe of the tiny base under the training environment's Python (`-m train_env`)."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

pytestmark = [pytest.mark.train_env, pytest.mark.filterwarnings("ignore")]


def test_a_stopped_training_is_told_from_a_finished_one(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the training environment (scripts/setup.sh train)")
    from tools.tiny_base.train import main

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    # A suite that was started in the background inherits a Ctrl-C that is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        assert main(["train", "--work", str(tmp_path), "--minutes", "5"]) == 1
    finally:
        timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
