"""The environments that Vigil speaks to from outside: LLaMA-Factory's and vLLM's pins exclude each other.

`scripts/setup.sh train` and `serve` make them beside the checkout; `$VIGIL_TRAIN_PYTHON` and
`$VIGIL_SERVE_PYTHON` name the Python of another one.

What the processor of this machine is quick in.

Loading without the garbage collector, which looks for cycles in modules that stay anyway.

While it looks, everything waits: on two slow cores it takes a fifth of each start, and later 0.2 to 0.4 s whenever it
goes through all that web pages have loaded.
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
    """A folder made by `scripts/setup.sh`, whose programs run as children of this process."""

    name: EnvironmentName
    folder: Path

    def program(self, name: str) -> Path:
        """A program of the environment; raises EnvironmentMissing with the command that installs it."""
        path = self.folder / "bin" / name
        if not path.is_file():
            raise EnvironmentMissing(f"{path} is not there; make it with: scripts/setup.sh {self.name}")
        return path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.program("python")

    def variables(self) -> dict[str, str]:
        """This process's variables as its programs should see them.

        Compiled modules may be kept there, whatever this process was told: vLLM starts in 17 s with them and in
        35 s without. Our own search path is no business of theirs.
        """
        ours = {key: value for key, value in os.environ.items() if key not in DROPPED}
        path = f"{self.folder / 'bin'}{os.pathsep}{ours.get('PATH', os.defpath)}"
        return ours | {"PATH": path, "VIRTUAL_ENV": str(self.folder)}

    def versions(self, names: Iterable[str]) -> dict[str, str]:
        """The versions of the packages that it has of these, without starting its Python."""
        wanted = {name.replace("_", "-").lower() for name in names}
        site = [str(path) for path in self.folder.glob("lib/python*/site-packages")]
        found = ((d.name.replace("_", "-").lower(), d.version) for d in distributions(path=site))
        return {name: version for name, version in sorted(found) if name in wanted}


def environment(name: EnvironmentName) -> Environment:
    """The training or the serving environment; raises EnvironmentMissing with the command that makes it."""
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
"""Features of x86 and ARM processors of which one is enough to multiply matrices in bfloat16 quickly."""


def fast_cpu_dtype() -> str:
    """bfloat16 where the processor has instructions for it, else float32, which is then many times as fast."""
    try:
        features = set(CPUINFO.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return "bfloat16"
    return "bfloat16" if features & FAST_BFLOAT16 else "float32"


@contextmanager
def gc_frozen() -> Iterator[None]:
    """While the block imports and builds what stays; what is there at its end is never looked through again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
