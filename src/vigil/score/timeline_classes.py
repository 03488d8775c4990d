"""Whether the events and the verdicts of a watch bear the right class, for questions with other labels than two.

An event that found an incident is right if it bears the class of that incident. The verdicts in an incident, whether or
not an event came of them, are right if they mostly bear its class, by their probability of alarm. Incidents whose class
the ground truth does not name count as found or missed, and not here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vigil.score.metrics import Interval, wilson
from vigil.score.timeline_matching import EventMatching, is_positive
from vigil.score.timeline_truth import TrueIncident
from vigil.verdict import JudgedWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentClass:
    """One class: its true incidents, those found, those found under their own class, and the false alarms of it."""

    label: str
    incidents: int
    found: int
    right: int
    false_alarms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentClasses:
    """The classes of the incidents that were found.

    `known` is how many of them the truth names a class for, `commonest_share` the share of these that always naming
    the commonest class gets right. `said` counts by true class which class the events bear.
    """

    known: int
    right: int
    right_share: float | None
    right_ci95: Interval | None
    commonest_share: float | None
    classes: tuple[IncidentClass, ...]
    said: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictClasses:
    """The classes of the verdicts in incidents: `known` incidents have a class in the truth and such verdicts.

    `right` of them have verdicts that mostly bear their class; `commonest_share` is what always naming the commonest
    class gets right. `said` counts the windows by true class: which class their verdicts bear.
    """

    known: int
    right: int
    right_share: float | None
    right_ci95: Interval | None
    commonest_share: float | None
    said: dict[str, dict[str, int]]


def verdict_classes(
    videos: Sequence[tuple[Sequence[JudgedWindow], Sequence[TrueIncident]]],
) -> VerdictClasses | None:
    """The classes of the verdicts in the incidents of videos; None if no verdict bears a class."""
    if not any(one.verdict.alarm_label for judged, _ in videos for one in judged):
        return None
    said: dict[str, Counter[str]] = {}
    known: list[tuple[str, str]] = []
    for judged, spans in videos:
        for span in (each for each in spans if each.label):
            within = [one for one in judged if one.verdict.alarm_label and is_positive(one.start_s, one.end_s, (span,))]
            said.setdefault(span.label, Counter()).update(one.verdict.alarm_label for one in within)
            if within:
                known.append((span.label, _mostly(within)))
    right = sum(label == most for label, most in known)
    commonest = Counter(label for label, _ in known).most_common(1)
    return VerdictClasses(
        known=len(known),
        right=right,
        right_share=right / len(known) if known else None,
        right_ci95=wilson(right, len(known)) if known else None,
        commonest_share=commonest[0][1] / len(known) if known else None,
        said={label: dict(counts.most_common()) for label, counts in sorted(said.items()) if counts},
    )


def _mostly(windows: Sequence[JudgedWindow]) -> str:
    """The class that windows bear, each counted by its probability of alarm."""
    weights: dict[str, float] = {}
    for one in windows:
        label = one.verdict.alarm_label
        weights[label] = weights.get(label, 0.0) + (one.verdict.p_alarm or 0.0)
    return max(weights, key=weights.__getitem__)


def incident_classes(matchings: Sequence[EventMatching]) -> IncidentClasses | None:
    """The classes in the matched videos; None if neither truth nor events name any."""
    found = [find for matching in matchings for find in matching.found]
    false = Counter(event.label for matching in matchings for event in matching.false)
    missed = Counter(span.label for matching in matchings for span in matching.missed)
    labels = sorted(
        {*(find.span.label for find in found), *(find.event.label for find in found), *false, *missed} - {""}
    )
    if not labels:
        return None
    said = {
        label: dict(Counter(find.event.label for find in found if find.span.label == label).most_common())
        for label in labels
    }
    of_class = {label: sum(counts.values()) for label, counts in said.items()}
    known, right = sum(of_class.values()), sum(said[label].get(label, 0) for label in labels)
    return IncidentClasses(
        known=known,
        right=right,
        right_share=right / known if known else None,
        right_ci95=wilson(right, known) if known else None,
        commonest_share=max(of_class.values()) / known if known else None,
        classes=tuple(
            IncidentClass(
                label=label,
                incidents=of_class[label] + missed[label],
                found=of_class[label],
                right=said[label].get(label, 0),
                false_alarms=false[label],
            )
            for label in labels
        ),
        said={label: counts for label, counts in said.items() if counts},
    )
