"""The progress of a job that goes through the same things several times, as one count."""

from vigil.dataset.worker import ProgressCallback


class CombinedProgress:
    """Hands out the progress of one stage after the other; `sizes` are how many things each goes through."""

    def __init__(self, progress: ProgressCallback, sizes: list[int]) -> None:
        self._progress = progress
        self._sizes = sizes
        self._begun = 0

    def next(self) -> ProgressCallback:
        """The progress of the next stage."""
        before, total = sum(self._sizes[: self._begun]), sum(self._sizes)
        self._begun += 1

        def told(done: int, _of: int, what: str) -> None:
            self._progress(before + done, total, what)

        return told
