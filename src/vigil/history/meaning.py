"""Search by meaning: observations whose vectors lie near that of a question, in Chinese and English.

    index = MeaningIndex(store, load_embedder())
    index.index_missing(span)                            # newest first; stops cleanly, goes on later
    find_records(store, question, meaning=index)

A row counts only if it stands out among the lines of the store (`vigil.history.likeness`). Vectors are plain rows of
either database, and all of a span are compared: an index of neighbours would save nothing at a week's 50,000 lines.
"""

import threading
from collections.abc import Callable

import numpy as np

from vigil.history.embedder import TextEmbedder, packed, unpacked
from vigil.history.likeness import LikenessScale
from vigil.store import Store
from vigil.store.ranked_search import HistorySpan, RankedRow

AT_ONCE = 64
STANDS_OUT = 3.75
"""Standard deviations; chosen on the week of seed 1 (benchmarks/ask.py)."""

SAMPLED_LINES = 5000
KNOWN_TEXTS = 4096
GROWN = 1.25
"""The scale is made anew once the store has a quarter more vectors."""


class MeaningIndex:
    """The vectors of a store and the model that makes them; a `MeaningSearch`, for all threads."""

    def __init__(
        self, store: Store, embedder: TextEmbedder, *, stands_out: float = STANDS_OUT, batch: int = AT_ONCE
    ) -> None:
        self._vectors = store.observation_vectors
        self._embedder = embedder
        self._stands_out = stands_out
        self._batch = batch
        self._known: dict[str, bytes] = {}
        self._scale: tuple[LikenessScale, int] | None = None
        self._lock = threading.Lock()

    def index_missing(
        self, span: HistorySpan, *, most: int | None = None, progress: Callable[[int], object] | None = None
    ) -> int:
        """Makes the vectors of observations of a span that have none, newest first, and returns how many.

        Each batch is stored at once, so whoever stops it loses nothing; `progress` gets how many are done.
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
        if not self._vectors.count():
            return []
        scale = self._fresh_scale()
        asked = scale.asked(words)
        rows: list[RankedRow] = []
        for batch in self._vectors.batches(span):
            near = scale.cosines(asked, batch.words, unpacked(batch.vectors))
            rows += [
                RankedRow(batch.ids[i], min(1.0, float(near[i])), batch.happened_utc[i])
                for i in np.flatnonzero(asked.is_found(near, stands_out=self._stands_out))
            ]
        rows.sort(key=lambda row: -row.score)
        return rows[:limit]

    def missing(self, span: HistorySpan) -> int:
        """How many observations of a span have no vector yet, and so are found by their words alone."""
        return self._vectors.count_missing(span)

    def _fresh_scale(self) -> LikenessScale:
        with self._lock:
            there = self._vectors.count()
            if self._scale is None or not self._scale[1] <= there <= max(GROWN * self._scale[1], 100):
                sample = self._vectors.sample(SAMPLED_LINES)
                self._scale = LikenessScale(self._embedder, sample.words, unpacked(sample.vectors)), there
            return self._scale[0]

    def _embedded(self, words: dict[int, str]) -> dict[int, bytes]:
        """Vectors by number; lines that say the same are embedded once."""
        fresh = [text for text in dict.fromkeys(words.values()) if text not in self._known]
        made = dict(zip(fresh, packed(self._embedder.passage(fresh)), strict=True)) if fresh else {}
        vectors = self._known | made
        self._known = made if len(vectors) > KNOWN_TEXTS else vectors
        return {number: vectors[text] for number, text in words.items()}
