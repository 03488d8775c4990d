"""Imports Gradio without writing the stub files (`.pyi`) that it generates for editors at every start.

Generating them takes nearly half of the import time and needs a writable folder. In gradio 6.31, `component_meta.py`
skips classes whose source file is unknown. This is a module of its own because it runs before Gradio is imported.
"""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WRITER = "gradio.component_meta"


@contextmanager
def skip_gradio_stubs() -> Iterator[None]:
    """Hides source files from the module that writes the stubs, and from nothing else."""
    getfile = inspect.getfile

    def find(described: Any) -> str:
        if sys._getframe(1).f_globals.get("__name__") == WRITER:
            raise OSError("stubs are not wanted")
        return getfile(described)

    inspect.getfile = find  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = getfile
