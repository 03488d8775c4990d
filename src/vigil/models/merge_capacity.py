"""Checks that a merge fits on the disk and into memory, before minutes are spent on it.

Free memory is what a new program can use: other programs and a container's limit are taken into account.
"""

import logging
import os
import shutil
from pathlib import Path

from vigil.errors import JobError

log = logging.getLogger(__name__)


MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def free_memory_bytes(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int | None:
    """Bytes that a new program can use without swapping another one out; None if the system does not report it."""
    limits = [bytes_ for bytes_ in (_available(meminfo), _below_limit(cgroup)) if bytes_ is not None]
    return min(limits, default=None)


def _available(meminfo: Path) -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="utf-8").splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None


def _below_limit(cgroup: Path) -> int | None:
    """What is left below a container's limit; page cache that is not in use counts as free."""
    try:
        limit = int((cgroup / "memory.max").read_text(encoding="utf-8"))
        used = int((cgroup / "memory.current").read_text(encoding="utf-8"))
        lines = (cgroup / "memory.stat").read_text(encoding="utf-8").splitlines()
        spare = next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
    except (OSError, ValueError, IndexError):  # "max" is not a number: there is no limit
        return None
    return max(0, limit - used + spare)


DISK_FACTOR = 1.1
MEMORY_FACTOR = 1.1
"""The merge holds the whole model in bfloat16 and one weight of it in float32; its check takes a few MB."""


def weights_bytes(model: Path) -> int:
    """The size of a model's weights on the disk."""
    return sum(path.stat().st_size for path in model.glob("*.safetensors"))


def gigabytes(size_bytes: float) -> str:
    """A size for people."""
    return f"{size_bytes / 1e9:.1f} GB"


def check_disk(base: Path, out: Path) -> None:
    """Raises JobError if the merged model does not fit on the disk it is written to."""
    needed_bytes = weights_bytes(base)
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    free_bytes = shutil.disk_usage(parent).free
    if free_bytes < needed_bytes * DISK_FACTOR:
        raise JobError(
            f"the merged model takes {gigabytes(needed_bytes)}, but {parent} has {gigabytes(free_bytes)} free; make "
            "room, or name another place with --out"
        )


def check_memory(base: Path) -> None:
    """Raises JobError if a merge does not fit into this machine; warns if it does not fit beside what is running."""
    needed_bytes = weights_bytes(base) * MEMORY_FACTOR
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory_bytes < needed_bytes:
        raise JobError(
            f"merging takes {gigabytes(needed_bytes)} of memory, and this machine has {gigabytes(memory_bytes)}; merge "
            "on a larger one, or serve the adapter beside its base: ./vllm.sh BASE_DIR --lora NAME=ADAPTER"
        )
    free_bytes = free_memory_bytes()
    if free_bytes is not None and free_bytes < needed_bytes:
        now = gigabytes(free_bytes)
        log.warning("merging takes %s of memory, and %s are free: it may be slow or fail", gigabytes(needed_bytes), now)
