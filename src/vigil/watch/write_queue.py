"""Pending writes to the store, and how they are carried out: a rejected row does not hold up the others."""

import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from vigil.errors import RowRefused, StoreError

log = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)
State = TypeVar("State")


class QueuedWrites(Generic[Key, State]):
    """The latest state of each item to be written, oldest first. Used in the event loop only.

    The store's thread works on a copy (`states`). Only the event loop removes what was written, so a state that arrived
    in the meantime stays.
    """

    def __init__(self) -> None:
        self._states: dict[Key, State] = {}

    def __len__(self) -> int:
        return len(self._states)

    def put(self, key: Key, state: State) -> None:
        """Queues the current state of an item and replaces an earlier one."""
        self._states[key] = state

    def states(self) -> list[tuple[Key, State]]:
        """Returns everything that is queued, oldest first."""
        return list(self._states.items())

    def of(self, key: Key) -> State | None:
        """Returns the queued state of an item, or None."""
        return self._states.get(key)

    def discard_written(self, key: Key, state: State) -> None:
        """Removes a state after it was written, unless a newer state of the item was queued in the meantime."""
        if self._states.get(key) is state:
            del self._states[key]

    def discard_all(self, written: Iterable[tuple[Key, State]]) -> None:
        """Calls `discard_written` for each of several items."""
        for key, state in written:
            self.discard_written(key, state)

    def forget(self, key: Key) -> None:
        """Removes an item without writing it."""
        self._states.pop(key, None)

    def drop_oldest(self) -> None:
        """Removes the item that was queued first."""
        del self._states[next(iter(self._states))]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoreWrite:
    """One write to the store: `act` runs in the store's thread, then `settled` in the event loop, rejected or not.

    `row` is what it writes, for the file of rejected rows. A write of many rows has `parts`, which are tried one by one
    if the whole is rejected.
    """

    what: str
    act: Callable[[], object]
    settled: Callable[[], None] = lambda: None
    row: object = None
    parts: Callable[[], Sequence["StoreWrite"]] = tuple


@dataclass(slots=True)
class WriteResult:
    """The result of a batch: the completed writes, those of them that were rejected, and the error that stopped it."""

    done: list[StoreWrite] = field(default_factory=list)
    refused: list[tuple[StoreWrite, Exception]] = field(default_factory=list)
    failure: StoreError | None = None


def write_all(writes: Iterable[StoreWrite], *, set_aside: Callable[[StoreWrite, Exception], None]) -> WriteResult:
    """Carries out writes in order until the store fails; calls `set_aside` for each that is rejected."""
    result = WriteResult()
    remaining = list(writes)[::-1]
    while remaining:
        write = remaining.pop()
        try:
            write.act()
        except RowRefused as error:
            _refuse(write, error, remaining, result, set_aside)
        except StoreError as error:
            result.failure = error
            return result
        except Exception as error:
            # A row that fails because of a bug in Vigil is treated like one that the database rejects.
            log.exception("%s cannot be written; this is a fault in Vigil, please report it", write.what)
            _refuse(write, error, remaining, result, set_aside)
        else:
            result.done.append(write)
    return result


def _refuse(
    write: StoreWrite,
    error: Exception,
    remaining: list[StoreWrite],
    result: WriteResult,
    set_aside: Callable[[StoreWrite, Exception], None],
) -> None:
    parts = write.parts()
    if parts:
        remaining.extend(reversed(parts))
        return
    set_aside(write, error)
    result.done.append(write)
    result.refused.append((write, error))
