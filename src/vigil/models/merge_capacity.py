"""Is there room for a merge, on the disk and in memory? Asked before minutes are spent on finding out.

How much memory is free here, as opposed to built in: other programs and the limit of a container count.
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
    """Bytes that a new program can have without pushing another one out; None where this system does not tell."""
    known = [bytes_ for bytes_ in (_available(meminfo), _below_limit(cgroup)) if bytes_ is not None]
    return min(known, default=None)


def _available(meminfo: Path) -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="utf-8").splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None


def _below_limit(cgroup: Path) -> int | None:
    """What is left below a container's limit; pages of files that nobody uses just now can be had as well."""
    try:
        limit = int((cgroup / "memory.max").read_text(encoding="utf-8"))
        used = int((cgroup / "memory.current").read_text(encoding="utf-8"))
        lines = (cgroup / "memory.stat").read_text(encoding="utf-8").splitlines()
        spare = next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
    except (OSError, ValueError, IndexError):  # "max" is no number: there is no limit
        return None
    return max(0, limit - used + spare)


DISK_FACTOR = 1.1
MEMORY_FACTOR = 1.1
"""The merge holds the whole model in bfloat16, and one weight of it in float32; its check takes a few MB."""


def weights_bytes(model: Path) -> int:
    """The size of a model's weights on the disk."""
    return sum(path.stat().st_size for path in model.glob("*.safetensors"))


def gigabytes(size_bytes: float) -> str:
    """A size as people read it."""
    return f"{size_bytes / 1e9:.1f} GB"


def check_disk(base: Path, out: Path) -> None:
    """Raises JobError when the merged model does not fit beside its place."""
    needed_bytes = weights_bytes(base)
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    free_bytes = shutil.disk_usage(parent).free
    if free_bytes < needed_bytes * DISK_FACTOR:
        raise JobError(
            f"the merged model takes {gigabytes(needed_bytes)}, but {parent} has {gigabytes(free_bytes)} free; make "
            "room, or name another place with --out"
        )


def check_memory(base: Path) -> None:
    """Raises JobError when no merge fits into this machine, and warns when it does not fit beside what runs now."""
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
