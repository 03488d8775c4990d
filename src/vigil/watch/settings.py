"""The settings of a watcher: a plain description of the job, from which any process can start it.

They come from `configs/watch/*.yaml`, then from the command line; the last value wins.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vigil.alerts.settings import AlertSettings
from vigil.config import build_over, find_config, parse_overrides, read_yaml, text_keys
from vigil.errors import ConfigError, UsageError
from vigil.events import TierThresholds
from vigil.judge.endpoint import DEFAULT_URL
from vigil.judge.verdict_reader import MIN_LABEL_PROBABILITY
from vigil.rules import (
    CameraTask,
    CountSettings,
    HysteresisSettings,
    ObservationSettings,
    RuleSettings,
    checked_rules,
)
from vigil.sentence_question import checked_sentence
from vigil.sources.address import Source, SourceEntry
from vigil.sources.open_capture import CaptureSettings
from vigil.store import DEFAULT_STORE
from vigil.store.retention import RetentionSettings
from vigil.watch.gate import USUAL_MOTION, USUAL_PERSON, GateName
from vigil.watch.observe_settings import ObserveSettings

CUT_WITHIN_S = 15.0
"""How late a clip may be written on a busy machine."""

DEFAULT_RULES = [{"type": "hysteresis"}]

ASK_NONE = "none"
"""Instead of a sentence to ask: takes the questions of a camera away."""

DescribeWhen = Literal["alarms", "events", "never"]

AskByMeaning = Literal["auto", "always", "never"]
"""Whether the service searches for questions to the past by meaning too; `auto`: if the extra is installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """The length of event clips: seconds before the onset, after the end, and in total; a total of 0 disables clips."""

    before_s: float = 3.0
    after_s: float = 2.0
    max_s: float = 20.0

    def __post_init__(self) -> None:
        if min(self.before_s, self.after_s, self.max_s) < 0:
            raise UsageError("before_s, after_s and max_s of clips must not be negative")
        if 0 < self.max_s <= self.before_s:
            raise UsageError(
                f"clips of {self.max_s:g} s (max_s) would end before the incident, as {self.before_s:g} s before it "
                "(before_s) are kept; raise max_s, or set it to 0 to keep no clips"
            )

    @property
    def memory_s(self) -> float:
        """Seconds that a live source's ring buffer must hold for the longest clip, even if it is written late."""
        return self.max_s + CUT_WITHIN_S if self.max_s else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """How to watch; `docs/watch.md` explains every setting.

    `in_flight` limits the requests of all sources, `live_in_flight` those of one live source, `queue_windows` the
    queued windows of one source, `files_at_once` the files that are read in parallel. `file_wait_s` is how long a file
    waits for an unavailable server. A window counts as unknown if the label words together have less than
    `min_label_probability` at the token that is read. `ca_file` holds certificates of authorities that are trusted in
    addition to the usual ones. `preview_fps` is the rate of live previews (0 disables them), `preview_px` the maximum
    length of their longer side. No camera can be added beyond `most_cameras`; those in `sources` are always watched.
    The `gate` decides which windows the model never sees: `motion` skips those with less motion than `motion_gate` grey
    levels, `person` those in which no person is seen with a confidence of `person_gate` (0: what docs/gate.md found
    safe). Every source has all `rules`, unless it chooses some
    (`SourceEntry.rules`); the first sets the tiers that are shown with verdicts.
    """

    sources: tuple[Source, ...] = ()
    url: str = DEFAULT_URL
    model: str = ""
    ca_file: Path | None = None
    task: str | None = None
    model_dir: Path | None = None
    max_pixels: int | None = None
    store: str = str(DEFAULT_STORE)
    store_folder: Path | None = None
    realtime: bool = False
    fast: bool = False
    in_flight: int = 32
    live_in_flight: int = 2
    queue_windows: int = 2
    files_at_once: int = 2
    deadline_s: float = 10.0
    min_label_probability: float = MIN_LABEL_PROBABILITY
    file_wait_s: float = 120.0
    describe: DescribeWhen = "alarms"
    describe_tokens: int = 120
    describe_in_flight: int = 4
    gate: GateName = "none"
    motion_gate: float = 0.0
    person_gate: float = 0.0
    ask_by_meaning: AskByMeaning = "auto"
    keep_frames: bool = False
    metrics_port: int | None = None
    preview_fps: float = 0.0
    preview_px: int = 640
    most_cameras: int = 64
    clips: ClipSettings = field(default_factory=ClipSettings)
    rules: tuple[RuleSettings, ...] = (HysteresisSettings(),)
    capture: CaptureSettings = field(default_factory=CaptureSettings)
    observe: ObserveSettings = field(default_factory=ObserveSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)

    def __post_init__(self) -> None:
        counts = [
            "in_flight",
            "live_in_flight",
            "queue_windows",
            "files_at_once",
            "describe_tokens",
            "describe_in_flight",
        ]
        counts += ["most_cameras"]
        problems = [f"{name} must be at least 1" for name in counts if getattr(self, name) < 1]
        problems += [f"{name} must be above 0" for name in ("deadline_s",) if getattr(self, name) <= 0]
        problems += [
            f"{name} must not be negative"
            for name in ("file_wait_s", "motion_gate", "preview_fps")
            if getattr(self, name) < 0
        ]
        problems += [f"min_label_probability is a share, from 0 to 1, not {self.min_label_probability:g}"] * (
            not 0 <= self.min_label_probability <= 1
        )
        problems += [f"person_gate is a confidence, from 0 to below 1, not {self.person_gate:g}"] * (
            not 0 <= self.person_gate < 1
        )
        problems += [f"preview_px must be at least 32, not {self.preview_px}"] * (self.preview_px < 32)
        problems += ["alerts need a store; name one, or remove the sinks"] * bool(self.alerts.sinks and not self.store)
        problems += ["rules must hold at least one rule; without one there are no events"] * (not self.rules)
        problems += _site_problems(self.rules, [site.name for site in self.alerts.sites])
        problems += _source_problems(self.sources, self.rules)
        problems += _observation_problems(self.observe, self.rules)
        if problems:
            raise UsageError("; ".join(problems))

    @property
    def motion_threshold(self) -> float:
        """The grey levels of motion below which a window is skipped; 0 if none is."""
        return self.motion_gate or (USUAL_MOTION if self.gate == "motion" else 0.0)

    @property
    def person_threshold(self) -> float:
        """The confidence below which nobody is seen in a window, so that it is skipped; 0 if none is."""
        return self.person_gate or (USUAL_PERSON if self.gate == "person" else 0.0)

    @property
    def tiers(self) -> TierThresholds:
        """The tiers of the first rule."""
        return self.rules[0].tiers

    @property
    def hysteresis(self) -> HysteresisSettings:
        """The first hysteresis rule about the task's own question, or its defaults if there is none."""
        own = (rule for rule in self.rules if isinstance(rule, HysteresisSettings) and not rule.question)
        return next(own, HysteresisSettings())


def _observation_problems(observe: ObserveSettings, rules: Sequence[RuleSettings]) -> Iterator[str]:
    """Rules that are about observations where none are made, or about fields of observations in words."""
    about = [rule for rule in rules if isinstance(rule, ObservationSettings)]
    if about and not observe.is_on:
        yield f"the rule {about[0].name} is about observations, and observe.every_s is 0: none are made"
    for rule in about:
        if rule.needs_fields and observe.form == "words":
            yield f"the rule {rule.name} is about a field, and observe.form is words; say json"


def _site_problems(rules: Sequence[RuleSettings], sites: Sequence[str]) -> Iterator[str]:
    """Rules over sites that alerts.sites does not name."""
    for rule in rules:
        site = rule.site if isinstance(rule, CountSettings) else ""
        if site and site not in sites:
            near = difflib.get_close_matches(site, sites, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"alerts.sites has {', '.join(sites) or 'none'}"
            yield f"the rule {rule.name} counts over a site {site!r}; {hint}"


def _source_problems(sources: Sequence[Source], rules: Sequence[RuleSettings]) -> Iterator[str]:
    """What does not fit in the rules of single sources, unless a rule has the name of a task that is not known yet."""
    if not all(rule.name for rule in rules):
        return
    for number, source in enumerate(sources):
        chosen = source.camera_rules if isinstance(source, SourceEntry) else None
        try:
            _ = None if chosen is None else checked_rules(rules, chosen)
        except UsageError as error:
            yield f"sources.{number}: {error}"


RETYPED = re.compile(r"--set (\S+)\.type=(.+)")
"""An override of the type of a rule or a sink."""


def load_watch_settings(config: str, named: dict[str, Any], words: list[str]) -> WatchSettings:
    """Loads the settings from a file, then from the options, then from `--set key=value` words; the last value wins.

    A rule is named by its number or its name: `rules.0.k=1`, `rules.loitering.for_s=300`. A source in `named` may be
    the name of one of the file's. Raises ConfigError that names the origin of the problem: the file, the option or the
    word.
    """
    path = find_config("watch", config)
    data = {"rules": DEFAULT_RULES} | read_yaml(path)
    if "sources" in named:
        named = named | {"sources": tuple(_configured(each, data.get("sources")) for each in named["sources"])}
    said = {f"--{key.replace('_', '-')}": {key: value} for key, value in named.items()}
    whole, texts = data | named, set(text_keys(WatchSettings))
    for word in words:
        for key, value in parse_overrides([word], texts=texts).items():
            top, *below = key.split(".")
            whole[top] = _with(whole.get(top), below, value, key=key, name=top)
            said[f"--set {word}"] = {top: whole[top]}
    try:
        return build_over(WatchSettings, data, said, where=str(path))
    except ConfigError as error:
        raise _of_another_type(error) or error from None


def _of_another_type(error: ConfigError) -> ConfigError | None:
    """What to do instead of `--set rules.0.type=camera`, which leaves a rule the settings of its old type."""
    found = RETYPED.fullmatch(error.where)
    if found is None or not any(": unknown key" in problem for problem in error.problems):
        return None
    whole, kind = found[1], found[2]
    missing = [problem.split()[1] for problem in error.problems if problem.endswith(" is missing")]
    values = ", ".join([f"type: {kind}", *(f"{name}: ..." for name in missing)])
    return ConfigError(
        error.where,
        [
            f"{whole} has settings of another type, which {kind} does not know; say the whole of it, "
            f"--set '{whole}={{{values}}}', or write it into a file for --config"
        ],
    )


def _configured(word: str, sources: Any) -> Any:
    """The source of the settings that has this name, unless there is a file of it; else the word."""
    entries = sources if isinstance(sources, list) else []
    named = [each for each in entries if _source_name(each) == word]
    return named[0] if named and not Path(word).exists() else word


def _source_name(entry: Any) -> str:
    if isinstance(entry, dict):
        return str(entry.get("name", ""))
    name, equals, _ = str(entry).partition("=")
    return name if equals else ""


def ask_sources(sources: Sequence[Source], sentences: Sequence[str]) -> tuple[Source, ...]:
    """The sources, each asked these sentences beside its own questions; with `none` alone they are asked none.

    Raises UsageError for a sentence that cannot be asked.
    """
    tasks = (
        ()
        if list(sentences) == [ASK_NONE]
        else tuple(CameraTask(ask=checked_sentence(sentence)) for sentence in sentences)
    )
    entries = (each if isinstance(each, SourceEntry) else SourceEntry(url=each) for each in sources)
    return tuple(replace(each, tasks=(*(each.tasks or ()), *tasks) if tasks else ()) for each in entries)


def _with(held: Any, keys: Sequence[str], value: Any, *, key: str, name: str) -> Any:
    """A copy of what is held under `name`, in which the key below it has a value; `key` is the whole key."""
    if not keys:
        return value
    first, *below = keys
    if isinstance(held, list):
        place = _place(held, first, key=key, name=name)
        old = held[place] if place < len(held) else {}
        return [*held[:place], _with(old, below, value, key=key, name=first), *held[place + 1 :]]
    if held is not None and not isinstance(held, dict):
        raise UsageError(f"--set {key}=...: {name} is a setting of its own, no group of settings")
    old = held or {}
    return old | {first: _with(old.get(first), below, value, key=key, name=first)}


def _place(items: list[Any], word: str, *, key: str, name: str) -> int:
    """The index of an item by its number or its name; the number after the last adds one."""
    names = [str(item.get("name") or "") if isinstance(item, dict) else "" for item in items]
    if word in names:
        return names.index(word)
    if word.isdecimal() and int(word) <= len(items):
        return int(word)
    there = ", ".join(f"{i} ({each})" if each else str(i) for i, each in enumerate(names))
    raise UsageError(f"--set {key}=...: there is no {word!r} in {name}; there are {there or 'none'}")
