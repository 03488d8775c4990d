"""vLLM's last words become one message."""

from pathlib import Path

import pytest

from vigil.serving.diagnosis import explain_exit

CASES = {
    "api_server.py: error: unrecognized arguments: --frobnicate 3": "vLLM knows no flag --frobnicate 3",
    "vllm serve: error: argument --dtype: invalid choice: 'int3'": "cannot use: argument --dtype",
    "OSError: [Errno 98] Address already in use": "the port is taken",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB": "not enough memory",
    "ValueError: No available memory for the cache blocks. Try increasing": "not enough memory",
    "ValueError: Free memory on device cuda:0 (3.1/23.6 GiB) is less than desired": "(3.1/23.6 GiB)",
    "ValueError: ... the estimated maximum model length is 2096. Try increasing": "--max-model-len to 2096",
    "ValueError: User-specified max_model_len (9000) is greater than the derived max_model_len": "9000 is longer",
    "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata": "weights are damaged",
    "ValueError: LoRA rank 64 is greater than max_lora_rank 16.": "rank 64 is above",
}


@pytest.mark.parametrize(("line", "words"), CASES.items())
def test_a_known_cause_is_told_with_what_to_do(tmp_path: Path, line: str, words: str) -> None:
    log = tmp_path / "vllm.log"
    log.write_text(f"INFO something\nTraceback (most recent call last):\n{line}\nRuntimeError: Engine core failed\n")
    message = explain_exit(log, 1)
    assert words in message
    assert str(log) in message
    assert "\n" not in message


def test_an_unknown_cause_is_the_most_telling_error(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    prefix = "(EngineCore pid=7) ERROR 11-20 08:48:38 [core.py:1] "
    lines = (f"{prefix}ValueError: the moon is in the way", "RuntimeError: Engine core initialization failed. See root")
    log.write_text("\n".join(lines))
    assert "ValueError: the moon is in the way" in explain_exit(log, 1)


def test_a_killed_server_is_told_by_its_signal(tmp_path: Path) -> None:
    assert "SIGKILL, most likely for lack of memory" in explain_exit(tmp_path / "none.log", -9)
    assert "ended with code 3" in explain_exit(tmp_path / "none.log", 3)
