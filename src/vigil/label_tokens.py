"""Where the words of labels part, in the tokens of one vocabulary: what a probability of them is read from.

是的 and 没有 part at their first token whether 是的 is one token or two. Words with a common beginning part behind it:
the beginning is put in front of the answer, and the next token decides.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

LabelIds: TypeAlias = Mapping[str, tuple[int, ...]]
"""The token ids of each label's word."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A place where words part: the tokens that they share before it, and the one with which each label goes on.

    Labels that go on with the same token part at a later branch.
    """

    shared_ids: tuple[int, ...]
    next_id: Mapping[str, int]

    @property
    def token_ids(self) -> list[int]:
        """The tokens to ask for, each once."""
        return list(dict.fromkeys(self.next_id.values()))


def find_branches(ids: LabelIds) -> tuple[Branch, ...]:
    """Every place where the words part, the earliest first; one for two words, and nearly always for ten.

    Raises ValueError when some cannot be told apart (`indistinct_labels`).
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
    """Pairs of labels of which one's tokens begin, or are, the other's: no token tells them apart."""
    for one, other in combinations(ids, 2):
        shorter = min(len(ids[one]), len(ids[other]))
        if ids[one][:shorter] == ids[other][:shorter]:
            yield one, other


def indistinct_message(one: str, other: str) -> str:
    """What is wrong with the words of an indistinct pair, and what to do."""
    return (
        f"the words {one!r} and {other!r} cannot be told apart, as the tokens of one begin with those of the other; "
        "choose words that begin differently in the task file, and train with them"
    )


def deciding_ids(ids: LabelIds, label: str) -> tuple[int, ...]:
    """The beginning of a label's word up to the token that tells it from all others."""
    depths = [len(branch.shared_ids) for branch in find_branches(ids) if label in branch.next_id]
    return ids[label][: max(depths, default=0) + 1]
