"""What waits to be written into the store, and the writing of it: what the database refuses holds up nothing else."""

import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from vigil.errors import RowRefused, StoreError

log = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)
State = TypeVar("State")


class QueuedWrites(Generic[Key, State]):
    """The latest state of each thing that is to be written, the oldest first; for the loop alone.

    The store's thread is given a copy (`states`), and the loop alone crosses off what was written: a state that came
    meanwhile stays.
    """

    def __init__(self) -> None:
        self._states: dict[Key, State] = {}

    def __len__(self) -> int:
        return len(self._states)

    def put(self, key: Key, state: State) -> None:
        """Has a thing written as it is now."""
        self._states[key] = state

    def states(self) -> list[tuple[Key, State]]:
        """Everything that waits now."""
        return list(self._states.items())

    def of(self, key: Key) -> State | None:
        """The state of a thing that waits, None for one that does not."""
        return self._states.get(key)

    def cross_off(self, key: Key, state: State) -> None:
        """Waits no more for a state that was written, unless another one of the same thing has come since."""
        if self._states.get(key) is state:
            del self._states[key]

    def forget(self, key: Key) -> None:
        """Has a thing written no more."""
        self._states.pop(key, None)

    def drop_oldest(self) -> None:
        """Forgets the thing that has waited longest."""
        del self._states[next(iter(self._states))]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoreWrite:
    """One write into the store: `act` does it in the store's thread, `settled` is called in the loop when it is over.

    `row` is what it writes, for the file of what was refused. A write of many rows has `parts`, which are tried one by
    one when it is refused.
    """

    what: str
    act: Callable[[], object]
    settled: Callable[[], None] = lambda: None
    row: object = None
    parts: Callable[[], Sequence["StoreWrite"]] = tuple


@dataclass(slots=True)
class WriteResult:
    """What became of writes: those that are over, those of them that were refused, and why no more were tried."""

    over: list[StoreWrite] = field(default_factory=list)
    refused: list[tuple[StoreWrite, Exception]] = field(default_factory=list)
    away: StoreError | None = None


def write_all(writes: Iterable[StoreWrite], *, set_aside: Callable[[StoreWrite, Exception], None]) -> WriteResult:
    """Does writes in order until the store cannot be written to; calls `set_aside` for each that is refused."""
    result = WriteResult()
    left = list(writes)[::-1]
    while left:
        write = left.pop()
        try:
            write.act()
        except RowRefused as error:
            _refuse(write, error, left, result, set_aside)
        except StoreError as error:
            result.away = error
            return result
        except Exception as error:
            # A row that Vigil itself cannot write is as bad as one that the database refuses.
            log.exception("%s cannot be written; this is a fault in Vigil, please report it", write.what)
            _refuse(write, error, left, result, set_aside)
        else:
            result.over.append(write)
    return result


def _refuse(
    write: StoreWrite,
    error: Exception,
    left: list[StoreWrite],
    result: WriteResult,
    set_aside: Callable[[StoreWrite, Exception], None],
) -> None:
    parts = write.parts()
    if parts:
        left.extend(reversed(parts))
        return
    set_aside(write, error)
    result.over.append(write)
    result.refused.append((write, error))
