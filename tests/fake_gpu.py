"""A graphics card that is not there: an `nvidia-smi` on the PATH that tells of one, as the real one words it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

PROGRAM = """#!/bin/sh
case "$*" in
    -L) {listed} ;;
    "--query-gpu=driver_version --format=csv,noheader") {told} ;;
    *) echo "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help."; exit 2 ;;
esac
"""


@dataclass(frozen=True, slots=True)
class FakeGpu:
    """A folder at the head of the PATH; what its `nvidia-smi` says is set by `says`."""

    folder: Path

    @classmethod
    def on_path(cls, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Self:
        """The card of this test; nothing hides it."""
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        for name in ("CUDA_VISIBLE_DEVICES", "VIGIL_SERVE", "VIGIL_ANY_DRIVER"):
            monkeypatch.delenv(name, raising=False)
        return cls(folder)

    def says(self, driver: str, *, cards: int = 1) -> None:
        """Has `nvidia-smi` tell so many cards under this driver."""
        listed = "; ".join(f"echo 'GPU {card}: NVIDIA GeForce RTX 3090 (UUID: GPU-{card})'" for card in range(cards))
        told = "; ".join([f"echo '{driver}'"] * cards)
        program = self.folder / "nvidia-smi"
        program.write_text(PROGRAM.format(listed=listed, told=told))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)


def kernel_file(path: Path, *, driver: str, open_module: bool = False) -> Path:
    """Writes what /proc/driver/nvidia/version holds; the open module words it otherwise."""
    module = "Open Kernel Module for x86_64" if open_module else "x86_64 Kernel Module"
    path.write_text(
        f"NVRM version: NVIDIA UNIX {module}  {driver}  Release Build  (dvs-builder@U22-I3)  Thu Jul  3 12:00:00 2025\n"
        "GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)\n"
    )
    return path
