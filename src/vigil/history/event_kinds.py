"""Which kinds of events a question names: "a fight" means those of the rule `fight_en`, whatever their words say.

    named = kinds_named("was there a fight", store.ranked.event_kinds(span))
    store.ranked.events_of_kinds(list(named), span, limit=20)

A model describes what it sees ("two people push each other"), an operator asks for what the rule is about.
"""

from collections.abc import Iterator, Sequence

from vigil.alerts.message import INCIDENTS
from vigil.errors import ConfigError
from vigil.questions import load_question
from vigil.store.ranked_search import SINGLE, EventKind
from vigil.store.term_index import asked_units, fold

SHORTEST_STEM = 4
"""So many letters are enough to take `fighting` for a form of `fight`."""


def kinds_named(words: str, kinds: Sequence[EventKind]) -> dict[EventKind, float]:
    """The share of a question's words that the names of each kind have, of those that have any."""
    units = {unit: 1.0 if len(unit) > 1 else SINGLE for unit in asked_units(fold(words))}
    whole = sum(units.values())
    found = {}
    for kind in kinds:
        names = fold(" ".join(names_of(kind)))
        score = sum(weight for unit, weight in units.items() if _has(names, unit))
        if score:
            found[kind] = score / whole
    return found


def names_of(kind: EventKind) -> Iterator[str]:
    """What a kind of event is called: its class, rule and task, their titles, and how alerts say them."""
    for name in filter(None, (kind.label, kind.rule, kind.task)):
        yield name.replace("_", " ")
        yield from INCIDENTS.get(name.removesuffix("_en"), {}).values()
    try:
        yield load_question(kind.task).title
    except (ConfigError, OSError):
        # The task of a store may be a file that is no longer there.
        return


def _has(names: str, unit: str) -> bool:
    if not unit.isascii():
        return unit in names
    return any(word.startswith(unit) or _is_stem(word, unit) for word in names.split())


def _is_stem(stem: str, word: str) -> bool:
    return len(stem) >= SHORTEST_STEM and word.startswith(stem)
