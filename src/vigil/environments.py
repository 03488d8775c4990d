"""The training and serving environments, the CPU's fast dtype, and imports without the garbage collector.

LLaMA-Factory and vLLM pin incompatible packages, so each has an environment of its own, which Vigil runs as child
processes. `scripts/setup.sh train` and `serve` create them in the checkout; `$VIGIL_TRAIN_PYTHON` and
`$VIGIL_SERVE_PYTHON` select the Python of another one.
"""

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Literal, TypeAlias

from vigil.errors import EnvironmentMissing

EnvironmentName: TypeAlias = Literal["train", "serve"]

CHECKOUT = Path(__file__).resolve().parents[2]
DROPPED = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})


@dataclass(frozen=True, slots=True)
class Environment:
    """A folder created by `scripts/setup.sh`, whose programs run as child processes."""

    name: EnvironmentName
    folder: Path

    def program(self, name: str) -> Path:
        """Returns the path of a program; raises EnvironmentMissing with the command that installs it."""
        path = self.folder / "bin" / name
        if not path.is_file():
            raise EnvironmentMissing(f"{path} is not there; make it with: scripts/setup.sh {self.name}")
        return path

    @property
    def python(self) -> Path:
        """The path of its Python interpreter."""
        return self.program("python")

    def variables(self) -> dict[str, str]:
        """Returns the environment variables for its programs.

        Bytecode caching is enabled even if this process disables it: vLLM starts in 17 s with it, in 35 s without. This
        process's module search path is not passed on.
        """
        ours = {key: value for key, value in os.environ.items() if key not in DROPPED}
        path = f"{self.folder / 'bin'}{os.pathsep}{ours.get('PATH', os.defpath)}"
        return ours | {"PATH": path, "VIRTUAL_ENV": str(self.folder)}

    def versions(self, names: Iterable[str]) -> dict[str, str]:
        """Returns the versions of those of `names` that are installed, without starting its Python."""
        wanted = {name.replace("_", "-").lower() for name in names}
        site = [str(path) for path in self.folder.glob("lib/python*/site-packages")]
        found = ((d.name.replace("_", "-").lower(), d.version) for d in distributions(path=site))
        return {name: version for name, version in sorted(found) if name in wanted}


def environment(name: EnvironmentName) -> Environment:
    """Returns the training or serving environment; raises EnvironmentMissing with the command that creates it."""
    named = os.environ.get(f"VIGIL_{name.upper()}_PYTHON")
    if named:
        return Environment(name, Path(named).parent.parent)
    folders = [root / f".venv-{name}" for root in (CHECKOUT, Path.cwd())]
    found = next((folder for folder in folders if (folder / "bin" / "python").is_file()), None)
    if found is None:
        raise EnvironmentMissing(f"there is no {folders[0]}; make it with: scripts/setup.sh {name}")
    return Environment(name, found)


CPUINFO = Path("/proc/cpuinfo")
FAST_BFLOAT16 = frozenset({"avx512bw", "avx512_bf16", "amx_bf16", "bf16"})
"""CPU features (x86 and ARM), any of which makes bfloat16 matrix multiplication fast."""


def fast_cpu_dtype() -> str:
    """Returns bfloat16 if the CPU has instructions for it, else float32, which is then many times faster."""
    try:
        features = set(CPUINFO.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return "bfloat16"
    return "bfloat16" if features & FAST_BFLOAT16 else "float32"


@contextmanager
def gc_frozen() -> Iterator[None]:
    """Disables the garbage collector in the block and exempts everything that exists at its end from later collections.

    Imported modules stay anyway. On two slow cores collecting takes a fifth of each start, and later 0.2 to 0.4 s for
    every collection that goes through all that web pages have loaded.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
