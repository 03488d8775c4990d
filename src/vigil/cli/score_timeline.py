"""`vigil score --timeline`: how well a watch of long videos finds incidents whose onsets are known.

The videos are watched as `vigil watch` watches files (every window, none dropped), then scored against the truth.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import typer

from vigil.cli.watch import on_signals
from vigil.cli.watch_table import WatchTable
from vigil.errors import JobError, SourceError, UsageError
from vigil.events import Event, EventChange
from vigil.file_names import plain_name, shortened
from vigil.judge import Endpoint, Judge
from vigil.report.timeline_table import timeline_table
from vigil.score.timeline_scorecard import TimelineScore, WatchedVideo, score_timeline
from vigil.score.timeline_truth import GroundTruth, TrueIncident, read_ground_truth
from vigil.sources.address import Address, find_sources
from vigil.sources.video_info import video_info
from vigil.verdict import JudgedWindow
from vigil.watch import Watcher, WatchObserver, WatchSettings, WatchSummary
from vigil.watch.run import run_watch
from vigil.watch.settings import load_watch_settings


@dataclass
class TimelineRecorder(WatchObserver):
    """Records everything a watch reports, by source; a later verdict of the same window replaces the earlier one."""

    verdicts: dict[str, dict[int, JudgedWindow]] = field(default_factory=dict)
    incidents: dict[str, dict[str, Event]] = field(default_factory=dict)

    def on_verdict(self, judged: JudgedWindow) -> None:
        self.verdicts.setdefault(judged.source, {})[judged.window] = judged

    def on_result(self, judged: JudgedWindow) -> None:
        self.on_verdict(judged)

    def on_change(self, change: EventChange) -> None:
        if not change.late:
            self.incidents.setdefault(change.event.source, {})[change.event.id] = change.event

    def of(self, address: Address, spans: tuple[TrueIncident, ...]) -> WatchedVideo:
        """What was reported about one source, with its truth."""
        return WatchedVideo(
            name=address.name,
            spans=spans,
            judged=tuple(self.verdicts.get(address.name, {}).values()),
            events=tuple(self.incidents.get(address.name, {}).values()),
            length_s=_length_s(Path(address.location)),
        )


def score_timeline_videos(
    videos: Sequence[Path],
    truth_file: Path,
    endpoint: Endpoint,
    *,
    overrides: Mapping[str, Any],
    config: str,
    out: Path,
    json_file: Path | None,
) -> TimelineScore:
    """Watches the videos with the watch settings `config`, scores them, and reports.

    `overrides` replaces settings of `config`, except where a value is None. Raises UsageError and ConfigError before
    anything is watched, JobError if nothing could be judged.
    """
    if not videos:
        raise UsageError("name the videos that the ground truth describes: vigil score --timeline TRUTH.csv VIDEO...")
    addresses = find_sources([str(video) for video in videos])
    live = [address.name for address in addresses if address.is_live]
    if live:
        raise UsageError(f"--timeline scores video files, and {', '.join(live)} is not a file")
    truth = read_ground_truth(truth_file)
    spans = truth.match([Path(address.location) for address in addresses])
    for name in truth.left_out(list(spans)):
        typer.echo(f"left out: {truth_file} also names {name}, which is not among the videos", err=True)
    settings = _settings(config, endpoint, overrides)
    notes, judge = _watch(addresses, settings, endpoint.api_key, truth)
    spans = truth.for_question(judge.question).match(list(spans))
    watched = [notes.of(address, spans[Path(address.location)]) for address in addresses]
    score = score_timeline(judge.model, watched, truth=str(truth_file), watch=_settings_json(settings))
    report_timeline(score, settings, out=out, json_file=json_file)
    _require_verdicts(score)
    return score


def _settings(config: str, endpoint: Endpoint, overrides: Mapping[str, Any]) -> WatchSettings:
    where = {"url": endpoint.url, "model": endpoint.model, "ca_file": endpoint.ca_file}
    named = {key: value for key, value in (where | dict(overrides)).items() if value is not None}
    settings = load_watch_settings(config, named, [])
    # Descriptions, clips and a store would take time and not change the score; the events of other rules are not those
    # that the truth names.
    return replace(
        settings,
        rules=(settings.hysteresis,),
        describe="never",
        store="",
        keep_frames=False,
        clips=replace(settings.clips, max_s=0.0),
    )


def _watch(
    addresses: Sequence[Address], settings: WatchSettings, api_key: str, truth: GroundTruth
) -> tuple[TimelineRecorder, Judge]:
    """What a watch of the files reports, and the judge, whose question is known as soon as it is connected.

    Raises ConfigError if the truth names classes that the question does not have, JobError if it was stopped.
    """
    notes = TimelineRecorder()
    stopped: list[bool] = []
    watches: list[Watcher] = []
    with WatchTable() as table:

        def on_start(watch: Watcher) -> None:
            truth.for_question(watch.judge.question)
            watches.append(watch)
            table.follow(watch)

            def stop() -> None:
                stopped.append(True)
                watch.stop()

            on_signals(stop)

        job = run_watch(settings, api_key=api_key, observers=[table, notes], on_start=on_start, addresses=addresses)
        summary = asyncio.run(job)
    if stopped:
        raise JobError("stopped before the end, so nothing was scored; run the same command again")
    _require_readable(summary)
    return notes, watches[0].judge


def _require_readable(summary: WatchSummary) -> None:
    lost = [f"{state.name}: {state.detail}" for state in summary.sources if state.stage == "unreadable"]
    if lost:
        raise SourceError(f"a score over videos of which some could not be read would mislead: {'; '.join(lost)}")


def _require_verdicts(score: TimelineScore) -> None:
    if score.figures.hours == 0:
        causes = ", ".join(score.figures.unknown) or "no windows"
        raise JobError(f"not one of {score.figures.windows} windows could be judged: {causes}")


def report_timeline(score: TimelineScore, settings: WatchSettings, *, out: Path, json_file: Path | None) -> None:
    """Prints the table, writes the JSON file, and draws a picture of each video."""
    from vigil.report.plots import write_timeline_plot

    typer.echo(timeline_table(score))
    files: list[Path] = []
    if json_file is not None:
        score.write(json_file)
        files.append(json_file)
    files += [
        write_timeline_plot(out / f"timeline-{number}-{_slug(video.watched.name)}.png", video, tiers=settings.tiers)
        for number, video in enumerate(score.videos, start=1)
    ]
    typer.echo("\n" + "\n".join(f"wrote {file}" for file in files), err=True)


def _slug(name: str) -> str:
    return shortened(plain_name(name), longest_bytes=80) or "video"


def _settings_json(settings: WatchSettings) -> dict[str, Any]:
    """The settings that shape events, stored with the score."""
    rule = settings.hysteresis
    return {
        "k": rule.k,
        "n": rule.n,
        "quiet_s": rule.quiet_s,
        "keep_from": rule.keep_from,
        "tiers": [rule.tiers.low, rule.tiers.medium, rule.tiers.high],
    }


def _length_s(path: Path) -> float | None:
    try:
        return video_info(path).duration_s
    except SourceError:
        return None
