"""How much memory is free here, as opposed to built in: other programs and the limit of a container count."""

from pathlib import Path

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
