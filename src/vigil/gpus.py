"""The NVIDIA GPUs of this machine: how many a child process can see, and whether their driver is new enough.

    python -m vigil.gpus requirements/train.txt INSTEAD      exits with 1 and one line if it is too old

`scripts/setup.sh` runs this before any environment exists, so it needs only the standard library.
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
"""The oldest driver for each major CUDA version; every newer driver works too.

NVIDIA, CUDA Compatibility, "Minor Version Compatibility", table 1:
https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
"""

CUDA_PACKAGES = ("torch", "nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime-cu13")
"""The packages that show which CUDA version an environment was built for."""

ANY_DRIVER = "VIGIL_ANY_DRIVER"
"""Set this if NVIDIA's forward compatibility package makes an older driver work."""

WITHOUT_GPU = "leave the GPU alone with CUDA_VISIBLE_DEVICES= before the command"
KERNEL_FILE = Path("/proc/driver/nvidia/version")
TIMEOUT_S = 30.0


def gpu_count() -> int:
    """Returns how many NVIDIA GPUs a child process can see."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in {"", "-1"}])
    return sum(line.startswith("GPU ") for line in _nvidia_smi("-L"))


def driver_version(*, kernel_file: Path = KERNEL_FILE) -> str | None:
    """Returns the NVIDIA driver version from nvidia-smi, or else from the kernel; None if neither has it."""
    lines = _nvidia_smi("--query-gpu=driver_version", "--format=csv,noheader")
    versions = [line.strip() for line in lines if re.fullmatch(r"\d+(\.\d+)*", line.strip())]
    if versions:
        return versions[0]
    try:
        found = re.search(r"Kernel Module\D*(?:x86_64\D*|aarch64\D*)?\s(\d+(?:\.\d+)+)", kernel_file.read_text())
    except OSError:
        return None
    return found[1] if found else None


def cuda_of(versions: Mapping[str, str]) -> int | None:
    """Returns the major CUDA version that these packages (see CUDA_PACKAGES) are built for; None without CUDA."""
    build = re.search(r"\+(?:cu(\d+)\d)?", versions.get("torch", ""))
    if build:
        return int(build[1]) if build[1] else None
    runtime = next((versions[name] for name in CUDA_PACKAGES[1:] if name in versions), "")
    return int(runtime.split(".")[0]) if runtime else None


def pins_in(requirements: Path) -> dict[str, str]:
    """Returns the versions that a requirements file pins for CUDA_PACKAGES; the first one if markers select one."""
    pins = re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", requirements.read_text(encoding="utf-8"))
    return {name: version for name, version in reversed(pins) if name in CUDA_PACKAGES}


def check_driver(versions: Mapping[str, str], *, instead: str = WITHOUT_GPU) -> None:
    """Raises EnvironmentMissing if the GPU's driver is too old for these packages.

    `instead` says how to work without the GPU. The check passes if the driver version cannot be read.
    """
    cuda = cuda_of(versions)
    if cuda is None or cuda not in OLDEST_DRIVERS or os.environ.get(ANY_DRIVER) or not gpu_count():
        return
    found, oldest = driver_version(), OLDEST_DRIVERS[cuda]
    if found is None or _numbers(found) >= _numbers(oldest):
        return
    raise EnvironmentMissing(
        f"the NVIDIA driver {found} is too old for CUDA {cuda}, which the pinned torch is built for: it takes {oldest} "
        f"or newer; update the driver, or {instead} ({ANY_DRIVER}=1 with NVIDIA's forward compatibility package)"
    )


def _nvidia_smi(*arguments: str) -> list[str]:
    """Returns the lines that nvidia-smi prints; none if it is missing, fails, or hangs on a broken card."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.splitlines() if answer.returncode == 0 else []


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def main() -> int:
    """Runs the check for setup.sh; the arguments are a requirements file and what to do instead."""
    try:
        check_driver(pins_in(Path(sys.argv[1])), instead=sys.argv[2])
    except EnvironmentMissing as error:
        sys.stderr.write(f"FAILED: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
