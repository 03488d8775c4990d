"""When a camera is observed: by time and by change, and within a budget of tokens."""

import time
from collections import deque
from collections.abc import Callable

from vigil.frames import decode_jpeg
from vigil.picture_change import Grey, grey_thumbnail, mean_difference
from vigil.watch.observe_settings import ObserveSettings
from vigil.windows import Window

STILL_SHARE = 0.25
"""A picture that differs by less than this share of `change_from` is still."""

BUDGET_S = 60.0


class ObservationPace:
    """Decides which windows of one camera are due; a window counts from the end of the last observed one."""

    def __init__(self, settings: ObserveSettings) -> None:
        self._settings = settings
        self._observed_s: float | None = None
        self._picture: Grey | None = None

    def is_due(self, window: Window) -> bool:
        """Whether a window is to be observed now."""
        if self._observed_s is None:
            return True
        since_s = window.end_s - self._observed_s
        if since_s < 0:
            # The source has begun anew.
            return True
        if since_s < self._settings.changed_s or since_s >= self._settings.still_s:
            return since_s >= self._settings.still_s
        change = self.change(window)
        if change >= self._settings.change_from:
            return True
        return since_s >= self._settings.every_s and change >= STILL_SHARE * self._settings.change_from

    def note(self, window: Window) -> None:
        """Remembers the window that is observed."""
        self._observed_s, self._picture = window.end_s, _picture(window)

    def change(self, window: Window) -> float:
        """How much a window differs from the one that was observed last, in grey levels; 0 if there is none."""
        before, now = self._picture, _picture(window)
        return 0.0 if before is None else mean_difference(before, now)


def _picture(window: Window) -> Grey:
    return grey_thumbnail(decode_jpeg(window.jpegs[-1]))


class SpentTokens:
    """The tokens that were spent in the last minute of a clock."""

    def __init__(self) -> None:
        self._spent: deque[tuple[float, int]] = deque()

    def add(self, at_s: float, tokens: int) -> None:
        """Counts tokens at a time of the clock."""
        self._spent.append((at_s, tokens))

    def at(self, now_s: float) -> int:
        """The tokens of the minute before a time; a clock that begins anew forgets them."""
        while self._spent and not 0 <= now_s - self._spent[0][0] < BUDGET_S:
            self._spent.popleft()
        return sum(tokens for _, tokens in self._spent)


class TokenBudget:
    """Holds observations to the tokens a minute of one source, and of all live ones.

    A minute of a source is one of its footage, so that a file that is read fast is observed as a camera is. Before it
    is known what an observation costs, it counts as the dearest so far (`expected` before the first).
    """

    def __init__(
        self, settings: ObserveSettings, *, expected: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._dearest = expected
        self._clock = clock
        self._of_source: dict[str, SpentTokens] = {}
        self._of_all = SpentTokens()

    def has_room(self, source: str, *, at_s: float, is_live: bool) -> bool:
        """Whether one more observation of a source, at a second of it, fits into both budgets."""
        own = self._of_source.get(source, SpentTokens()).at(at_s) + self._dearest
        every = self._of_all.at(self._clock()) + self._dearest if is_live else 0
        return own <= self._settings.camera_tokens_per_min and every <= self._settings.tokens_per_min

    def spend(self, source: str, tokens: int, *, at_s: float, is_live: bool) -> None:
        """Counts what an observation cost; 0, which a server that does not tell reports, counts as the dearest."""
        self._dearest = max(self._dearest, tokens)
        self._of_source.setdefault(source, SpentTokens()).add(at_s, tokens or self._dearest)
        if is_live:
            self._of_all.add(self._clock(), tokens or self._dearest)

    def forget(self, source: str) -> None:
        """Forgets a source that has ended."""
        self._of_source.pop(source, None)
