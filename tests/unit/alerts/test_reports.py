"""Reports that are sent by themselves: when they are due, once, late with a mark, and to whom."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerting import Receiver, alerts_to, receiver, webhook
from incidents import make_event
from mail_server import Mailbox, mail_server
from vigil.alerts import Outbox
from vigil.alerts.report_settings import ReportSettings
from vigil.alerts.settings import AlertSettings, MailSettings
from vigil.errors import ConfigError, UsageError
from vigil.history.scheduled_report import write_report
from vigil.store import Store
from vigil.watch.settings import load_watch_settings
from waiting import Hands, until

HOUR_S = 3600.0
NIGHT = ReportSettings(name="night", shift="22:00-06:00", at="06:15", timezone="Asia/Shanghai", sinks=("hook",))


@pytest.fixture(params=("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)))
def engine(request: pytest.FixtureRequest) -> str:
    """Every test that has a `store` runs on both databases."""
    return str(request.param)


def at(text: str) -> float:
    """Seconds since 1970 of a time with its offset."""
    return datetime.fromisoformat(text).timestamp()


def due(settings: ReportSettings, after: str, until_: str) -> list[str]:
    return [
        f"{each.since:%d %H:%M} {datetime.fromtimestamp(each.due_s, UTC):%d %H:%M}"
        for each in settings.due_between(at(after), at(until_))
    ]


def test_a_report_is_due_once_its_shift_is_over_or_at_the_time_of_day_after_that() -> None:
    assert due(NIGHT, "2026-11-20T00:00+08:00", "2026-11-21T06:15+08:00") == ["19 22:00 19 22:15", "20 22:00 20 22:15"]
    daily = ReportSettings(name="day", at="07:00", timezone="Asia/Shanghai", sinks=("hook",))
    assert due(daily, "2026-11-20T07:00+08:00", "2026-11-21T07:00+08:00") == ["20 00:00 20 23:00"]
    early = ReportSettings(name="early", shift="08:00-16:00", timezone="UTC", sinks=("hook",))
    assert due(early, "2026-11-20T15:59+00:00", "2026-11-20T16:00+00:00") == ["20 08:00 20 16:00"]
    next_day = ReportSettings(name="late", shift="08:00-16:00", at="07:30", timezone="UTC", sinks=("hook",))
    assert due(next_day, "2026-11-20T16:00+00:00", "2026-11-21T07:30+00:00") == ["20 08:00 21 07:30"]


def test_days_are_those_on_which_the_shift_begins() -> None:
    friday = ReportSettings(name="f", shift="22:00-06:00", days="mon-fri", timezone="UTC", sinks=("hook",))
    # 2026-11-20 is a Friday.
    assert due(friday, "2026-11-20T12:00+00:00", "2026-11-23T12:00+00:00") == ["20 22:00 21 06:00"]
    assert friday.next_s(at("2026-11-21T06:00+00:00")) == at("2026-11-24T06:00+00:00")


def test_over_a_change_of_the_clock_it_goes_by_the_clocks_on_the_wall_and_is_due_once() -> None:
    berlin = ReportSettings(name="b", shift="22:00-06:00", at="06:15", timezone="Europe/Berlin", sinks=("hook",))
    [spring] = berlin.due_between(at("2026-03-28T12:00+00:00"), at("2026-03-29T12:00+00:00"))
    assert spring.due_s == at("2026-03-29T04:15+00:00")
    assert spring.until.timestamp() - spring.since.timestamp() == 7 * HOUR_S
    [autumn] = berlin.due_between(at("2026-10-24T12:00+00:00"), at("2026-10-25T12:00+00:00"))
    assert autumn.until.timestamp() - autumn.since.timestamp() == 9 * HOUR_S
    # 02:30 comes twice in autumn and never in spring.
    odd = ReportSettings(name="o", at="02:30", timezone="Europe/Berlin", sinks=("hook",))
    assert len(odd.due_between(at("2026-10-24T12:00+00:00"), at("2026-10-25T12:00+00:00"))) == 1
    assert len(odd.due_between(at("2026-03-28T12:00+00:00"), at("2026-03-29T12:00+00:00"))) == 1


def test_the_next_one_of_every_day_is_due_within_a_day() -> None:
    assert NIGHT.next_s(at("2026-11-20T06:15+08:00")) == at("2026-11-21T06:15+08:00")
    assert NIGHT.next_s(at("2026-11-20T06:14+08:00")) == at("2026-11-20T06:15+08:00")


def test_after_a_long_time_only_the_newest_are_due() -> None:
    assert len(due(NIGHT, "2020-01-01T00:00+00:00", "2026-11-21T06:15+08:00")) == 7


def outbox(store: Store, got: Receiver, hands: Hands) -> Outbox:
    return Outbox(
        alerts_to(webhook(got.url), reports=(NIGHT,), link="https://vigil.example.org/"),
        store,
        clock=hands,
        write_report=write_report,
    )


def test_a_report_is_sent_at_its_time_once_whatever_is_restarted(store: Store) -> None:
    hands = Hands(at("2026-11-20T12:00+08:00"))
    night_s = at("2026-11-20T23:00+08:00")
    store.events.save(make_event(id="e1", epoch_s=night_s, end_s=4.0, text="two people push"))
    with receiver() as got:
        with outbox(store, got, hands) as running:
            until(lambda: store.cursors.get("alerts:hook", camera_id="report:night"))
            hands.now_s = at("2026-11-21T06:16+08:00")
            running.wake()
            until(lambda: got.taken)
        for _ in range(2):
            hands.now_s += HOUR_S
            with outbox(store, got, hands):
                until(lambda: store.cursors.get("alerts:hook", camera_id="report:night") >= hands.now_s)
        [sent] = got.taken
    assert sent.json["kind"] == "report" and sent.json["title"].startswith(
        "Report: 2026-11-20 22:00 – 2026-11-21 06:00"
    )
    assert "two people push" in sent.json["text"] and "11-20 23:00:00" in sent.json["text"]
    assert "due at" not in sent.json["text"]
    page = "https://vigil.example.org/en/report?day=2026-11-20&shift=22%3A00-06%3A00&timezone=Asia%2FShanghai"
    assert sent.json["text"].rstrip().endswith(page)
    [delivery] = store.deliveries.find()
    assert (delivery.kind, delivery.state) == ("report", "delivered")


def test_what_came_due_while_nothing_ran_is_sent_late_with_a_mark(store: Store) -> None:
    hands = Hands(at("2026-11-20T12:00+08:00"))
    with receiver() as got:
        with outbox(store, got, hands):
            until(lambda: store.cursors.get("alerts:hook", camera_id="report:night"))
        assert not got.taken, "of before the first start nothing is sent"
        hands.now_s = at("2026-11-22T12:00+08:00")
        with outbox(store, got, hands):
            until(lambda: len(got.taken) == 2)
    titles = sorted(each.json["title"] for each in got.taken)
    assert [title[: len("Late: Report: 2026-11-20")] for title in titles] == [
        "Late: Report: 2026-11-20",
        "Late: Report: 2026-11-21",
    ]
    assert all("was due at 2026-11-2" in each.json["text"] for each in got.taken)


def test_a_report_that_is_not_taken_is_tried_again_under_the_same_key(store: Store) -> None:
    hands = Hands(at("2026-11-20T12:00+08:00"))
    with receiver(statuses=[503]) as got, outbox(store, got, hands) as running:
        until(lambda: store.cursors.get("alerts:hook", camera_id="report:night"))
        hands.now_s = at("2026-11-21T06:15+08:00")
        running.wake()
        until(lambda: store.deliveries.find() and store.deliveries.find()[0].attempts)
        hands.now_s += 60.0
        running.wake()
        until(lambda: got.taken)
    assert len({each.headers["idempotency-key"] for each in got.posted}) == 1


def test_a_report_goes_out_by_mail_in_chinese(store: Store) -> None:
    box, hands = Mailbox(), Hands(at("2026-11-20T12:00+08:00"))
    with mail_server(box) as port:
        mail = MailSettings(
            name="hook", host="127.0.0.1", port=port, security="none", sender="v@example.org", to=("a@example.org",)
        )
        settings = ReportSettings(
            name="白班", shift="08:00-16:00", timezone="Asia/Shanghai", sinks=("hook",), language="zh"
        )
        alerts = alerts_to(mail, reports=(settings,))
        with Outbox(alerts, store, clock=hands, write_report=write_report) as running:
            until(lambda: store.cursors.get("alerts:hook", camera_id="report:白班"))
            hands.now_s = at("2026-11-20T16:00+08:00")
            running.wake()
            until(lambda: box.mails)
    [sent] = box.mails
    assert (
        sent["Subject"] == "值守报告：2026-11-20 08:00 – 2026-11-20 16:00（白班）" and "没有记录" in sent.get_content()
    )


def test_a_process_that_writes_no_reports_leaves_them_to_one_that_does(store: Store) -> None:
    hands = Hands(at("2026-11-20T12:00+08:00"))
    with receiver() as got:
        with Outbox(alerts_to(webhook(got.url), reports=(NIGHT,)), store, clock=hands) as running:
            until(lambda: store.cursors.get("alerts:hook", camera_id="report:night"))
            hands.now_s = at("2026-11-21T06:15+08:00")
            running.wake()
        with outbox(store, got, hands):
            until(lambda: got.taken)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("{name: night, shift: 22-6, sinks: [hook]}", "shift '22-6'"),
        ("{name: night, at: 6 am, sinks: [hook]}", "at '6 am'"),
        ("{name: night, at: '24:00', sinks: [hook]}", "at '24:00'"),
        ("{name: night, days: mno, sinks: [hook]}", "did you mean mon?"),
        ("{name: night, timezone: Europe/Berlim, sinks: [hook]}", "did you mean Europe/Berlin?"),
        ("{name: night, sinks: []}", "nobody would get it"),
        ("{name: night, sinks: [hok]}", "no sink 'hok'; did you mean 'hook'?"),
        ("{name: night, sinks: [radio]}", "the sink radio takes no text"),
        ("{name: night, shfit: '22:00-06:00', sinks: [hook]}", "did you mean 'shift'?"),
        ("{name: night, sinks: [hook]}, {name: night, sinks: [hook]}", "two reports are called night"),
    ],
)
def test_a_report_that_does_not_fit_is_told(said: str, told: str, tmp_path: Path) -> None:
    sinks = "[{type: webhook, name: hook, url: 'https://example.org/x'}, {type: mqtt, name: radio, host: 127.0.0.1}]"
    (tmp_path / "watch.yaml").write_text(f"alerts:\n  sinks: {sinks}\n  reports: [{said}]\n", encoding="utf-8")
    with pytest.raises((ConfigError, UsageError)) as refused:
        load_watch_settings(str(tmp_path / "watch.yaml"), {}, [])
    assert told in " ".join(str(refused.value).split())


def test_the_time_zone_of_the_alerts_is_that_of_reports_without_one() -> None:
    plain = ReportSettings(name="n", shift="22:00-06:00", sinks=("hook",))
    alerts = AlertSettings(sinks=(webhook("http://127.0.0.1:9/"),), reports=(plain,), timezone="Asia/Shanghai")
    [first] = plain.due_between(at("2026-11-20T12:00+08:00"), at("2026-11-21T06:00+08:00"), timezone=alerts.timezone)
    assert first.due_s == at("2026-11-21T06:00+08:00")
