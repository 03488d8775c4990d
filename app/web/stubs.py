"""Gradio imported without the stub files (`.pyi`) that it writes beside its modules for editors, at every start.

They take nearly half of its import, and a folder that it may write to. Seen in gradio 6.31, `component_meta.py`: a
class whose file cannot be told gets none.
"""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WRITER = "gradio.component_meta"


@contextmanager
def skip_gradio_stubs() -> Iterator[None]:
    """While it lasts, the module that writes the stubs is told of no file; everybody else is."""
    getfile = inspect.getfile

    def told(described: Any) -> str:
        if sys._getframe(1).f_globals.get("__name__") == WRITER:
            raise OSError("stubs are not wanted")
        return getfile(described)

    inspect.getfile = told  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = getfile
