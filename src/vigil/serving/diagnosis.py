"""Explains in one message why vLLM exited: the cause found in its log, and what to do about it."""

import re
import signal
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 200_000
SHOWN = 300


@dataclass(frozen=True, slots=True)
class FailurePattern:
    """A pattern in vLLM's log, the cause it indicates, and what to do."""

    pattern: str
    meaning: str


SIGNS = (
    FailurePattern(
        r"unrecognized arguments: (?P<what>.+)",
        "vLLM knows no flag {what}; see .venv-serve/bin/python -m vllm.entrypoints.openai.api_server --help=all",
    ),
    FailurePattern(r"error: (?P<what>argument .+)", "a flag has a value that vLLM cannot use: {what}"),
    FailurePattern(
        r"(?i)address already in use",
        "the port is taken by another program; choose another with --port, or stop that program",
    ),
    FailurePattern(
        r"Free memory on device .*? (?P<what>\([\d.]+/[\d.]+ GiB\)).*less than desired",
        "the GPU has too little free memory {what}; stop what else runs there (nvidia-smi shows it), or lower "
        "--gpu-memory-utilization",
    ),
    FailurePattern(
        r"(?:estimated maximum model length is|maximum model length is) (?P<what>\d+)",
        "the key/value cache holds less than one full context; lower --max-model-len to {what}, or give the cache more "
        "memory (--gpu-memory-utilization, on a CPU --kv-cache-memory-bytes)",
    ),
    FailurePattern(
        r"No available memory for the cache blocks|(?i:out of memory)|(?i:cannot allocate memory)|MemoryError",
        "there is not enough memory for this model; lower --max-model-len, --max-num-seqs or --gpu-memory-utilization, "
        "or take a smaller model",
    ),
    FailurePattern(
        r"kv cache\s+allocation is less than requested|on kv cache allocation",
        "there is not enough memory for the key/value cache; lower --kv-cache-memory-bytes, or stop other programs",
    ),
    FailurePattern(
        r"max_model_len \((?P<what>\d+)\) is greater than the derived",
        "--max-model-len {what} is longer than this model can read; lower it",
    ),
    FailurePattern(
        r"LoRA rank (?P<what>\d+) is greater than max_lora_rank",
        "the adapter's rank {what} is above --max-lora-rank; raise it",
    ),
    FailurePattern(
        r"(?P<what>(?:SafetensorError|Error while deserializing header)[^\n]*)",
        "the weights are damaged ({what}); download or export them again",
    ),
    FailurePattern(
        r"(?P<what>size mismatch|shape mismatch|The size of tensor a|Attempted to load weight)[^\n]*",
        "the weights do not fit the model's config.json ({what}); export or download the folder again",
    ),
    FailurePattern(
        r"ValueError: Following weights were not initialized", "the folder lacks weights; export or download it again"
    ),
    FailurePattern(
        r"(?:architectures? (?P<what>\[[^\]]*\]) (?:are|is) not supported|has no vLLM implementation)",
        "vLLM cannot serve this kind of model {what}",
    ),
    FailurePattern(
        r"CUDA driver version is insufficient", "the NVIDIA driver is too old for this build of vLLM; update it"
    ),
    FailurePattern(
        r"Failed to infer device type",
        "vLLM finds no device it was built for; on a machine without a GPU make the CPU build: "
        "VIGIL_SERVE=cpu scripts/setup.sh serve",
    ),
)
ERROR_LINE = re.compile(r"(?m)^(?:\([^)]*\) )?(?:ERROR [^\]]*\] )?\s*(?P<error>[A-Z][\w.]*(?:Error|Exception): .+)$")
VAGUE = ("Engine core initialization failed", "EngineDeadError", "WorkerProc initialization failed", "cancelled")


def explain_exit(log: Path, exit_code: int) -> str:
    """One message about a server that exited by itself: the cause, what to do, and where the whole log is."""
    text = read_log_tail(log)
    cause = _cause(text) or _killed(exit_code) or _last_error(text) or f"it ended with code {exit_code}"
    return f"vLLM stopped: {cause}; its whole log is {log}"


def read_log_tail(log: Path) -> str:
    """The end of a log; empty if there is none yet."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _cause(text: str) -> str:
    for sign in SIGNS:
        if found := re.search(sign.pattern, text):
            what = (found.groupdict().get("what") or "").strip()
            return sign.meaning.replace("{what}", what[:SHOWN])
    return ""


def _killed(exit_code: int) -> str:
    if exit_code >= 0:
        return ""
    name = signal.Signals(-exit_code).name
    return f"it was killed by {name}" + (", most likely for lack of memory" if name == "SIGKILL" else "")


def _last_error(text: str) -> str:
    errors = [found["error"] for found in ERROR_LINE.finditer(text)]
    specific = [error for error in errors if not any(word in error for word in VAGUE)]
    return (specific or errors or [""])[-1][:SHOWN]
