"""The recipe of the tiny base under the training environment's Python (`-m train_env`)."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from waiting import until

pytestmark = [pytest.mark.train_env, pytest.mark.filterwarnings("ignore")]


def test_a_stopped_training_is_told_from_a_finished_one(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the training environment (scripts/setup.sh train)")
    from tools.tiny_base.train import main

    before = signal.getsignal(signal.SIGINT)

    def stop_once_it_listens() -> None:
        until(lambda: signal.getsignal(signal.SIGINT) is not before)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop_once_it_listens, daemon=True).start()
    assert main(["train", "--work", str(tmp_path), "--minutes", "5"]) == 1
    assert (tmp_path / "last.pt").exists()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_for_an_end_and_the_second_one_interrupts(number: signal.Signals) -> None:
    pytest.importorskip("torch", reason="needs the training environment (scripts/setup.sh train)")
    from tools.tiny_base.train import stop_signals

    with pytest.raises(KeyboardInterrupt), stop_signals() as stopping:
        os.kill(os.getpid(), number)
        until(stopping.is_set)
        os.kill(os.getpid(), number)
        until(lambda: False)
