"""Counting over a site: incidents at several cameras make one event, which names them."""

import logging

import pytest

from vigil.alerts.settings import AlertSettings, SiteSettings
from vigil.errors import UsageError
from vigil.events import EventChange
from vigil.rules import CountSettings, HysteresisSettings, RuleSet
from vigil.rules.build import RuleMaker
from vigil.rules.site_count import SiteTally
from vigil.verdict import JudgedWindow, Outcome, Verdict
from vigil.watch.settings import WatchSettings

EPOCH_S = 1_795_910_400.0
THREE = CountSettings(name="unrest", site="gate", times=3, within_s=60.0, gap_s=2.0)


def cameras(*names: str, epoch_s: float | None = EPOCH_S, tally: SiteTally | None = None) -> dict[str, RuleSet]:
    """The rules of some cameras of one site; each began a second after the one before."""
    tallies = {"unrest": tally or SiteTally()}
    return {
        name: RuleMaker(source=name, task="fight", tallies=tallies).make_all(
            [THREE], epoch_s=None if epoch_s is None else epoch_s + number
        )
        for number, name in enumerate(names)
    }


def window(number: int, *, at_s: float, p: float) -> JudgedWindow:
    verdict = Verdict(outcome=Outcome.ALARM if p >= 0.75 else Outcome.NORMAL, p_alarm=p, start_s=at_s, end_s=at_s + 2.0)
    return JudgedWindow(source="", window=number, verdict=verdict)


def alarm(rules: RuleSet, at_s: float) -> list[EventChange]:
    """One incident: a window with it, and a quiet one after it."""
    number = round(at_s)
    return [
        *rules.push(window(number, at_s=at_s, p=0.9)),
        *rules.push(window(number + 2, at_s=at_s + 2.0, p=0.1)),
    ]


def test_the_third_incident_at_any_camera_of_a_site_opens_one_event_that_names_them_all() -> None:
    site = cameras("door", "yard", "hall")
    assert alarm(site["door"], 0.0) == alarm(site["yard"], 10.0) == []
    [opened] = alarm(site["hall"], 20.0)
    assert (opened.kind, opened.event.source, opened.event.rule) == ("opened", "hall", "unrest")
    assert opened.event.text == "gate: door, yard, hall" and opened.event.onset_s == 20.0
    # More incidents elsewhere belong to the event that is open.
    assert alarm(site["door"], 30.0) == []
    assert site["door"].open_events == site["yard"].open_events == ()


def test_two_incidents_of_one_camera_count_twice_and_one_that_goes_on_counts_once() -> None:
    site = cameras("door", "yard")
    going_on = [site["door"].push(window(n, at_s=2.0 * n, p=0.9)) for n in range(8)]
    assert not any(going_on)
    site["door"].push(window(8, at_s=16.0, p=0.1))
    assert alarm(site["yard"], 18.0) == []
    [opened] = alarm(site["door"], 24.0)
    assert opened.event.text == "gate: door, yard"


def test_it_closes_when_too_few_are_left_and_then_another_camera_may_open_one() -> None:
    site = cameras("door", "yard")
    changes = [change for at_s in (0.0, 10.0, 20.0) for change in alarm(site["door"], at_s)]
    assert [each.kind for each in changes] == ["opened"]
    [closed] = site["door"].push(window(90, at_s=65.0, p=0.1))
    assert (closed.kind, closed.event.closed_because, closed.event.text) == ("closed", "quiet", "gate: door")
    later = [change for at_s in (100.0, 110.0, 120.0) for change in alarm(site["yard"], at_s)]
    assert [each.kind for each in later] == ["opened"] and later[0].event.source == "yard"


def test_a_camera_that_ends_lets_another_one_go_on_and_its_incidents_still_count() -> None:
    site = cameras("door", "yard")
    for at_s in (0.0, 10.0, 20.0):
        alarm(site["door"], at_s)
    assert [each.kind for each in site["door"].finish("removed")] == ["closed"]
    assert [each.kind for each in alarm(site["yard"], 30.0)] == ["opened"]


def test_incidents_that_are_told_again_after_a_restart_count_once() -> None:
    tally = SiteTally()
    for _ in range(3):
        assert alarm(cameras("door", tally=tally)["door"], 0.0) == []
    assert len(tally.since(0.0)) == 1


def test_a_file_has_no_clock_to_count_by_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    site = cameras("a.mp4", epoch_s=None)
    with caplog.at_level(logging.WARNING):
        assert [change for at_s in (0.0, 10.0, 20.0) for change in alarm(site["a.mp4"], at_s)] == []
    assert caplog.text.count("the rule unrest counts over a site") == 1


def test_a_camera_of_another_site_has_no_part_in_it() -> None:
    outside = RuleMaker(source="roof", task="fight").make_all([HysteresisSettings(name="fight"), THREE], epoch_s=0.0)
    assert [rule.name for rule in outside.rules] == ["fight"]


def test_a_site_that_the_alerts_do_not_name_is_refused_with_the_nearest() -> None:
    alerts = AlertSettings(sites=(SiteSettings(name="gates", cameras=("door",)),))
    with pytest.raises(UsageError, match="the rule unrest counts over a site 'gate'; did you mean 'gates'"):
        WatchSettings(rules=(THREE,), alerts=alerts)
    with pytest.raises(UsageError, match=r"alerts\.sites has none"):
        WatchSettings(rules=(THREE,))
    WatchSettings(rules=(THREE,), alerts=AlertSettings(sites=(SiteSettings(name="gate", cameras=("door",)),)))
