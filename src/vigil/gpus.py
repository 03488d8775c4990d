"""The NVIDIA GPUs of this machine: how many a child process will see, and whether their driver is new enough.

    python -m vigil.gpus requirements/train.txt INSTEAD      exits 1, with one line, where it is not

`scripts/setup.sh` asks that before there is any environment, so this needs nothing but Python.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from vigil.errors import EnvironmentMissing

OLDEST_DRIVERS: Mapping[int, str] = {12: "525", 13: "580"}
"""By the major version of CUDA, which runs on every driver from there on.

NVIDIA, CUDA Compatibility, "Minor Version Compatibility", table 1:
https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
"""

CUDA_PACKAGES = ("torch", "nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime-cu13")
"""What tells for which CUDA an environment was built."""

ANY_DRIVER = "VIGIL_ANY_DRIVER"
"""Set where NVIDIA's forward compatibility package makes an older driver do."""

WITHOUT_GPU = "leave the GPU alone with CUDA_VISIBLE_DEVICES= before the command"
KERNEL_FILE = Path("/proc/driver/nvidia/version")
TIMEOUT_S = 30.0


def gpu_count() -> int:
    """How many NVIDIA GPUs a child process will see."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in {"", "-1"}])
    return sum(line.startswith("GPU ") for line in _nvidia_smi("-L"))


def driver_version(*, kernel_file: Path = KERNEL_FILE) -> str | None:
    """The version of the NVIDIA driver, as nvidia-smi or else the kernel tells it; None where neither does."""
    told = _nvidia_smi("--query-gpu=driver_version", "--format=csv,noheader")
    versions = [line.strip() for line in told if re.fullmatch(r"\d+(\.\d+)*", line.strip())]
    if versions:
        return versions[0]
    try:
        found = re.search(r"Kernel Module\D*(?:x86_64\D*|aarch64\D*)?\s(\d+(?:\.\d+)+)", kernel_file.read_text())
    except OSError:
        return None
    return found[1] if found else None


def cuda_of(versions: Mapping[str, str]) -> int | None:
    """The major version of the CUDA that these packages are built for, from CUDA_PACKAGES; None without CUDA."""
    build = re.search(r"\+(?:cu(\d+)\d)?", versions.get("torch", ""))
    if build:
        return int(build[1]) if build[1] else None
    runtime = next((versions[name] for name in CUDA_PACKAGES[1:] if name in versions), "")
    return int(runtime.split(".")[0]) if runtime else None


def pins_in(requirements: Path) -> dict[str, str]:
    """The pinned versions of CUDA_PACKAGES in a requirements file; the first, where markers choose among several."""
    pins = re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", requirements.read_text(encoding="utf-8"))
    return {name: version for name, version in reversed(pins) if name in CUDA_PACKAGES}


def check_driver(versions: Mapping[str, str], *, instead: str = WITHOUT_GPU) -> None:
    """Raises EnvironmentMissing when a GPU is to be used whose driver is too old for these packages.

    `instead` says how to do without the GPU. A driver that nobody can read is let through.
    """
    cuda = cuda_of(versions)
    if cuda is None or cuda not in OLDEST_DRIVERS or os.environ.get(ANY_DRIVER) or not gpu_count():
        return
    found, oldest = driver_version(), OLDEST_DRIVERS[cuda]
    if found is None or _numbers(found) >= _numbers(oldest):
        return
    raise EnvironmentMissing(
        f"the NVIDIA driver {found} is too old for CUDA {cuda}, which the pinned torch is built for: it takes {oldest} "
        f"or newer; update the driver, or {instead} ({ANY_DRIVER}=1 vouches for NVIDIA's forward compatibility package)"
    )


def _nvidia_smi(*words: str) -> list[str]:
    """The lines that it answers; none where it is missing, fails, or hangs on a card that is broken."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.splitlines() if answer.returncode == 0 else []


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def main() -> int:
    """Asks for setup.sh, which names a requirements file and what to do instead."""
    try:
        check_driver(pins_in(Path(sys.argv[1])), instead=sys.argv[2])
    except EnvironmentMissing as error:
        sys.stderr.write(f"FAILED: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
