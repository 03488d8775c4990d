"""Free memory is what this machine and a container's limit leave."""

from pathlib import Path

from vigil.models.merge_capacity import free_memory_bytes

MEMINFO = "MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:   2000000 kB\n"


def _container(folder: Path, limit: str, *, used: int, spare: int) -> Path:
    folder.mkdir()
    (folder / "memory.max").write_text(limit)
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 7\nactive_file 9\ninactive_file {spare}\n")
    return folder


def test_the_machine_and_the_container_both_count(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(MEMINFO)
    nowhere = tmp_path / "nowhere"
    assert free_memory_bytes(meminfo, nowhere) == 2_048_000_000
    free = _container(tmp_path / "free", "max", used=5, spare=1)
    assert free_memory_bytes(meminfo, free) == 2_048_000_000
    bound = _container(tmp_path / "bound", "1000000000", used=900_000_000, spare=50_000_000)
    assert free_memory_bytes(meminfo, bound) == 150_000_000
    assert free_memory_bytes(nowhere, bound) == 150_000_000
    full = _container(tmp_path / "full", "1000", used=5000, spare=0)
    assert free_memory_bytes(meminfo, full) == 0
    assert free_memory_bytes(nowhere, nowhere) is None


def test_this_machine_tells(tmp_path: Path) -> None:
    free = free_memory_bytes()
    assert free is not None
    assert free > 0
