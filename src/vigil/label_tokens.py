"""Finds the tokens at which the words of labels diverge; label probabilities are read from those tokens.

是的 and 没有 diverge at their first token, whether 是的 is one token or two. Words with a common prefix diverge after
it: the prefix is prepended to the answer, and the next token decides.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

LabelIds: TypeAlias = Mapping[str, tuple[int, ...]]
"""The token ids of each label's word."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A position at which words diverge: the token ids they share before it, and the next token of each label.

    Labels with the same next token diverge at a later branch.
    """

    shared_ids: tuple[int, ...]
    next_id: Mapping[str, int]

    @property
    def token_ids(self) -> list[int]:
        """The distinct tokens whose probabilities are requested."""
        return list(dict.fromkeys(self.next_id.values()))


def find_branches(ids: LabelIds) -> tuple[Branch, ...]:
    """Returns every position at which the words diverge, the earliest first; for ten words there is nearly always one.

    Raises ValueError if some are indistinct (`indistinct_labels`).
    """
    if any(indistinct_labels(ids)):
        raise ValueError("the words of some labels cannot be told apart")
    return tuple(_branches(ids, tuple(ids), depth=0))


def _branches(ids: LabelIds, labels: Sequence[str], *, depth: int) -> Iterator[Branch]:
    if len(labels) < 2:
        return
    next_id = {label: ids[label][depth] for label in labels}
    groups: dict[int, list[str]] = {}
    for label, token in next_id.items():
        groups.setdefault(token, []).append(label)
    if len(groups) > 1:
        yield Branch(ids[labels[0]][:depth], next_id)
    for group in groups.values():
        yield from _branches(ids, group, depth=depth + 1)


def indistinct_labels(ids: LabelIds) -> Iterator[tuple[str, str]]:
    """Yields pairs of labels where the tokens of one equal, or are a prefix of, those of the other."""
    for one, other in combinations(ids, 2):
        shorter = min(len(ids[one]), len(ids[other]))
        if ids[one][:shorter] == ids[other][:shorter]:
            yield one, other


def indistinct_message(one: str, other: str) -> str:
    """Returns the error message for an indistinct pair, with what to do."""
    return (
        f"the words {one!r} and {other!r} cannot be told apart, as the tokens of one begin with those of the other; "
        "choose words that begin differently in the task file, and train with them"
    )


def deciding_ids(ids: LabelIds, label: str) -> tuple[int, ...]:
    """Returns a label's token ids up to and including the one that separates it from all other labels."""
    depths = [len(branch.shared_ids) for branch in find_branches(ids) if label in branch.next_id]
    return ids[label][: max(depths, default=0) + 1]
