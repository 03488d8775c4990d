"""The outbox: what happened reaches every sink at least once, in order, whatever else fails."""

import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from alerting import Receiver, alarm, alerts_to, receiver, save, settled, webhook, write_media
from databases import another
from full_disk import full_disk
from postgresql import PostgresServer
from s3_server import BUCKET, running_s3
from vigil.alerts import AlertSettings, Outbox
from vigil.alerts.settings import CommandSettings, SiteSettings
from vigil.events import EventChange, Tier
from vigil.store import Store
from waiting import Hands, until


@pytest.fixture(params=("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)))
def engine(request: pytest.FixtureRequest) -> str:
    """Every test of the outbox that has a `store` runs on both databases."""
    return str(request.param)


def revisions(got: Receiver) -> list[tuple[int, str]]:
    return [(each.json["revision"], each.json["kind"]) for each in got.taken]


def test_an_alarm_is_posted_once_and_its_later_changes_under_the_same_id(store: Store) -> None:
    with receiver() as got, Outbox(alerts_to(webhook(got.url)), store) as outbox:
        event = save(store, alarm(text=""), outbox)
        until(lambda: got.taken)
        save(store, replace(event, text="two people push"), outbox)
        save(store, replace(event, text="two people push", end_s=9.0), outbox)
        until(lambda: len(got.taken) == 3)
    assert revisions(got) == [(1, "opened"), (2, "described"), (3, "closed")]
    assert {each.json["id"] for each in got.taken} == {event.id}
    assert [each.json["event"]["text"] for each in got.taken] == ["", *["two people push"] * 2]
    assert [each.state for each in settled(store)] == ["delivered"] * 3


def test_a_sink_that_is_seen_for_the_first_time_is_not_sent_what_is_past(store: Store) -> None:
    save(store, alarm())
    with receiver() as got:
        with Outbox(alerts_to(webhook(got.url)), store) as outbox:
            new = save(store, alarm(source="yard"), outbox)
            until(lambda: got.taken)
        assert [each.json["id"] for each in got.taken] == [new.id]


def test_what_happens_while_nothing_runs_is_sent_at_the_next_start(store: Store) -> None:
    with receiver() as got:
        alerts = alerts_to(webhook(got.url))
        Outbox(alerts, store).__enter__().close()
        event = save(store, alarm())
        with Outbox(alerts, store):
            until(lambda: got.taken)
        assert [each.json["id"] for each in got.taken] == [event.id]


def test_a_webhook_that_is_down_gets_everything_in_order_once_it_is_up_and_another_sink_does_not_wait(
    store: Store,
) -> None:
    away = Receiver()
    with away.serving():
        """Takes a port."""
    with receiver() as got:
        alerts = alerts_to(webhook(away.url, "away"), webhook(got.url, "there"))
        with Outbox(alerts, store) as outbox:
            event = save(store, alarm(), outbox)
            save(store, replace(event, end_s=9.0), outbox)
            until(lambda: len(got.taken) == 2)
            until(lambda: any(each.attempts for each in store.deliveries.find(sink="away")))
            with away.serving():
                until(lambda: len(away.taken) == 2)
    assert revisions(away) == revisions(got) == [(1, "opened"), (2, "closed")]
    first = store.deliveries.find(sink="away")[0]
    attempts = store.deliveries.get(first.id)[1]
    assert first.state == "delivered" and "no connection to 127.0.0.1" in attempts[0].detail


def test_a_slow_sink_delays_no_other(store: Store) -> None:
    with receiver(delay_s=1.5) as slow, receiver() as quick:
        alerts = alerts_to(webhook(slow.url, "slow", in_flight=1), webhook(quick.url, "quick"))
        with Outbox(alerts, store) as outbox:
            for number in range(3):
                save(store, alarm(source=f"c{number}"), outbox)
            until(lambda: len(quick.taken) == 3)
            assert len(slow.taken) < 3
            until(lambda: len(slow.taken) == 3)


def test_what_is_refused_is_tried_again_and_holds_up_no_other_incident(store: Store) -> None:
    with receiver(statuses=[500]) as got, Outbox(alerts_to(webhook(got.url)), store) as outbox:
        first = save(store, alarm(), outbox)
        until(lambda: got.posted)
        second = save(store, alarm(source="yard"), outbox)
        until(lambda: len(got.taken) == 2)
    assert [each.json["id"] for each in got.posted] == [first.id, second.id, first.id]
    assert len({each.headers["idempotency-key"] for each in got.posted}) == 2


def test_a_retry_outlives_a_restart(store: Store) -> None:
    with receiver(status=503) as got:
        alerts = alerts_to(webhook(got.url))
        with Outbox(alerts, store) as outbox:
            save(store, alarm(), outbox)
            until(lambda: store.deliveries.find()[0].attempts if store.deliveries.find() else 0)
        got.status = 204
        with Outbox(alerts, store):
            until(lambda: got.taken)
    assert len({each.headers["idempotency-key"] for each in got.posted}) == 1
    assert store.deliveries.find()[0].attempts == len(got.posted)


def test_a_receiver_says_how_long_to_wait(store: Store) -> None:
    with receiver(status=429, headers={"Retry-After": "900"}) as got:
        with Outbox(alerts_to(webhook(got.url)), store, clock=Hands(1_795_967_300.0)) as outbox:
            save(store, alarm(), outbox)
            until(lambda: [each for each in store.deliveries.find() if each.attempts])
        [waiting] = store.deliveries.find()
        assert waiting.due_utc == "2026-11-29T16:03:20.000Z" and "429" in waiting.detail


def test_what_is_given_up_is_a_dead_letter_that_can_be_sent_again_under_its_key(store: Store) -> None:
    clock = Hands(time.time())
    with receiver(status=400) as got, Outbox(alerts_to(webhook(got.url)), store, clock=clock) as outbox:
        save(store, alarm(), outbox)
        until(lambda: got.posted)
        until(lambda: _moved(clock, store), every_s=0.05)
        [dead] = store.deliveries.find(state="dead")
        assert dead.attempts >= 3 and "400" in dead.detail
        got.status = 204
        assert [each.id for each in store.deliveries.send_again([dead.id])] == [dead.id]
        outbox.wake()
        until(lambda: got.taken)
    assert len({each.headers["idempotency-key"] for each in got.posted}) == 1


def _moved(clock: Hands, store: Store) -> bool:
    clock.now_s += 40_000.0
    return bool(store.deliveries.find(state="dead"))


def test_a_clock_that_is_set_back_holds_up_no_retry(store: Store) -> None:
    clock = Hands(time.time())
    with receiver(statuses=[500]) as got, Outbox(alerts_to(webhook(got.url)), store, clock=clock) as outbox:
        save(store, alarm(), outbox)
        until(lambda: [each for each in store.deliveries.find() if each.attempts])
        clock.now_s += -86_400.0
        until(lambda: got.taken)


def locked(store: Store) -> "closing[sqlite3.Connection]":
    """Another program that has the database to itself."""
    other = sqlite3.connect(store.folder / "events.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    return closing(other)


def test_an_alarm_that_cannot_be_stored_is_sent_and_says_so_and_is_not_sent_again_once_it_is_stored(
    sqlite_store: Store,
) -> None:
    store = sqlite_store
    event = alarm()
    with receiver() as got, Outbox(alerts_to(webhook(got.url)), store) as outbox:
        with locked(store) as other:
            outbox.on_change(EventChange("opened", event))
            until(lambda: got.taken)
            other.execute("ROLLBACK")
        save(store, event, outbox)
        save(store, replace(event, end_s=9.0), outbox)
        until(lambda: len(got.taken) == 2)
        [first, second] = settled(store)
    assert [(each.json["id"], each.json["revision"], each.json["durable"]) for each in got.taken] == [
        (event.id, 1, False),
        (event.id, 2, True),
    ]
    assert "not recorded" in got.taken[0].json["text"] and "not recorded" not in got.taken[1].json["text"]
    assert (first.state, second.state) == ("delivered", "delivered") and first.attempts == 1


def test_an_alarm_goes_out_while_the_disk_is_full(sqlite_store: Store) -> None:
    store = sqlite_store
    with receiver() as got, Outbox(alerts_to(webhook(got.url)), store) as outbox:
        event = alarm()
        [change] = store.events.save(event)
        with full_disk():
            outbox.on_change(EventChange("opened", event, sequence=change.sequence))
            until(lambda: got.taken)
        until(lambda: settled(store))
    assert {each.json["id"] for each in got.taken} == {event.id} and len(got.taken) == 1


def test_a_sink_that_could_not_be_noted_at_the_start_misses_nothing_that_happens_then(sqlite_store: Store) -> None:
    store = sqlite_store
    save(store, alarm(source="past"))
    with receiver() as got:
        with full_disk():
            outbox = Outbox(alerts_to(webhook(got.url)), store).__enter__()
        first = save(store, alarm(), outbox)
        until(lambda: got.taken)
        outbox.close()
    assert [each.json["id"] for each in got.taken] == [first.id]


def test_a_snapshot_in_a_bucket_is_fetched_for_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_s3(tmp_path / "s3.log") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with Store.open(tmp_path / "events.db", media=f"s3://{BUCKET}/alerts") as store, receiver() as got:
            alerts = alerts_to(webhook(got.url, media="parts", media_wait_s=600.0))
            with Outbox(alerts, store) as outbox:
                files = write_media(store, save(store, alarm(), outbox))
                until(lambda: got.taken)
    assert files["snapshots"] in got.taken[0].body


def test_the_parts_wait_for_a_snapshot_no_longer_than_the_settings_say(store: Store) -> None:
    with receiver() as got:
        alerts = alerts_to(webhook(got.url, media="parts", media_wait_s=600.0))
        with Outbox(alerts, store) as outbox:
            event = save(store, alarm(), outbox)
            until(lambda: store.deliveries.find())
            assert not got.posted
            files = write_media(store, event)
            until(lambda: got.taken)
    assert files["snapshots"] in got.taken[0].body and store.deliveries.find()[0].attempts == 1


def test_the_message_that_an_event_is_over_waits_for_its_clip_and_holds_up_no_alarm(store: Store) -> None:
    with receiver() as got:
        alerts = alerts_to(webhook(got.url, media="parts", clip_wait_s=600.0))
        with Outbox(alerts, store) as outbox:
            event = save(store, alarm(), outbox)
            save(store, replace(event, end_s=9.0), outbox)
            save(store, alarm(source="yard"), outbox)
            until(lambda: len(got.taken) == 2)
            files = write_media(store, event)
            until(lambda: len(got.taken) == 3)
    assert [files["clips"] in each.body for each in got.taken] == [False, False, True]
    assert b'"kind": "closed"' in got.taken[2].body


def escalating(url: str) -> AlertSettings:
    return alerts_to(webhook(url, tiers=("high",), escalate=("medium",)), escalate_after_s=300.0)


@pytest.mark.parametrize("marked", [False, True], ids=["unmarked", "marked"])
def test_what_nobody_marked_in_time_is_escalated_once(store: Store, marked: bool) -> None:
    clock = Hands(time.time())
    with receiver() as got, Outbox(escalating(got.url), store, clock=clock) as outbox:
        event = save(store, alarm(tier=Tier.MEDIUM), outbox)
        last = save(store, alarm(source="yard"), outbox)
        until(lambda: got.taken)
        assert [each.json["id"] for each in got.taken] == [last.id]
        if marked:
            store.marks.add(event.id, "false_alarm", who="lena")
        clock.now_s += 3000.0
        outbox.wake()
        until(lambda: store.cursors.get("alerts:hook:escalations") == 2)
        clock.now_s += 3000.0
        again = save(store, alarm(source="gate"), outbox)
        until(lambda: again.id in [each.json["id"] for each in got.taken])
    told = [(each.json["id"], each.json["kind"]) for each in got.taken if each.json["kind"] == "escalated"]
    assert told == ([] if marked else [(event.id, "escalated")])


def test_two_processes_with_one_sink_send_everything_once(store: Store) -> None:
    with receiver() as got, another(store) as other:
        alerts = alerts_to(webhook(got.url))
        with Outbox(alerts, store) as outbox, Outbox(alerts, other) as second:
            events = [save(store, alarm(source=f"c{n}"), (outbox, second)[n % 2]) for n in range(6)]
            until(lambda: len(got.taken) == 6)
            settled(store)
    assert {each.json["id"] for each in got.posted} == {event.id for event in events} and len(got.posted) == 6


def test_an_outbox_ends_in_time_though_a_receiver_never_answers_and_sends_again_at_the_next_start(
    store: Store, ended_within: Callable[[Callable[[], object]], None]
) -> None:
    with receiver(delay_s=8.0) as got:
        outbox = Outbox(alerts_to(webhook(got.url, deadline_s=600.0), drain_s=0.2), store).__enter__()
        save(store, alarm(), outbox)
        until(lambda: store.deliveries.find())
        ended_within(outbox.close)
        assert [each.state for each in store.deliveries.find()] == ["waiting"]


@pytest.fixture
def ended_within() -> Callable[[Callable[[], object]], None]:
    """Runs something and fails if its thread is alive afterwards."""

    def run(act: Callable[[], object]) -> None:
        import threading

        act()
        assert not [thread for thread in threading.enumerate() if thread.name == "alerts"]

    return run


def test_a_program_that_hangs_is_ended_and_tried_again(store: Store, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    script = f"echo $$ >> {ran}; [ $(wc -l < {ran}) -gt 1 ] || {{ sleep 600 & echo $! > {ran}.child; wait; }}"
    sink = CommandSettings(name="siren", argv=("sh", "-c", script), deadline_s=2.0)
    with Outbox(alerts_to(sink), store) as outbox:
        save(store, alarm(), outbox)
        until(lambda: [each for each in store.deliveries.find() if each.state == "delivered"])
    assert len(ran.read_text().splitlines()) >= 2
    child = int((tmp_path / "ran.child").read_text())
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
    assert "no answer within 2 s" in store.deliveries.get(1)[1][0].detail


def test_a_neighbour_that_sees_it_while_the_first_event_goes_on_adds_to_its_incident(store: Store) -> None:
    site = SiteSettings(name="gate", cameras=("c1", "c2"))
    with receiver() as got:
        alerts = alerts_to(webhook(got.url, cooldown_s=0.0), sites=(site,))
        with Outbox(alerts, store) as outbox:
            first = save(store, alarm(source="c1"), outbox)
            save(store, alarm(source="c2"), outbox)
            save(store, alarm(source="c3"), outbox)
            until(lambda: len(got.taken) == 3)
    told = sorted(
        (each.json["camera"]["name"], each.json["revision"], each.json["camera"]["site"]) for each in got.taken
    )
    assert told == [("c1", 1, "gate"), ("c2", 2, "gate"), ("c3", 1, "")]
    assert [each.json["id"] for each in got.taken].count(first.id) == 2


def test_escalation_that_is_turned_on_later_sends_nothing_old(store: Store) -> None:
    clock = Hands(time.time())
    with receiver() as got:
        with Outbox(alerts_to(webhook(got.url)), store, clock=clock) as outbox:
            save(store, alarm(tier=Tier.MEDIUM), outbox)
        clock.now_s += 3000.0
        with Outbox(escalating(got.url), store, clock=clock) as outbox:
            last = save(store, alarm(source="yard"), outbox)
            until(lambda: got.taken)
        assert [each.json["id"] for each in got.taken] == [last.id]


def test_an_alarm_from_memory_whose_words_cannot_be_encoded_is_sent(store: Store) -> None:
    with receiver() as got, Outbox(alerts_to(webhook(got.url)), store) as outbox:
        outbox.on_change(EventChange("opened", alarm(text="\udcb4 \0 words")))
        until(lambda: got.taken)
    assert "words" in got.taken[0].json["event"]["text"]


def test_what_follows_an_alarm_from_memory_has_a_higher_revision(store: Store) -> None:
    with receiver() as got, Outbox(alerts_to(webhook(got.url)), store) as outbox:
        event = alarm(tier=Tier.HIGH)
        outbox.on_change(EventChange("opened", event))
        until(lambda: len(got.taken) == 1)
        outbox.on_change(EventChange("raised", event))
        until(lambda: len(got.taken) == 2)
        save(store, event, outbox)
        save(store, replace(event, end_s=9.0), outbox)
        until(lambda: len(got.taken) == 3)
    assert [(each.json["revision"], each.json["kind"]) for each in got.taken] == [
        (1, "opened"),
        (2, "raised"),
        (3, "closed"),
    ]


@pytest.mark.postgresql
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
def test_a_server_that_is_restarted_under_load_loses_no_alarm_and_tells_none_twice(
    postgresql_server: PostgresServer, tmp_path: Path, how: signal.Signals
) -> None:
    with (
        Store.open(postgresql_server.new_database(), folder=tmp_path) as store,
        receiver() as got,
        Outbox(alerts_to(webhook(got.url)), store) as outbox,
    ):
        before = [save(store, alarm(source=f"a{n}"), outbox) for n in range(10)]
        postgresql_server.stop(how=how)
        during = [alarm(source=f"b{n}") for n in range(5)]
        for event in during:
            outbox.on_change(EventChange("opened", event))
        until(lambda: {event.id for event in during} <= {each.json["id"] for each in got.taken})
        postgresql_server.start()
        for event in during:
            save(store, event, outbox)
        after = [save(store, alarm(source=f"c{n}"), outbox) for n in range(5)]
        wanted = {event.id for event in (*before, *during, *after)}
        until(lambda: wanted <= {each.json["id"] for each in got.taken})
        settled(store)
    keys = [each.headers["idempotency-key"] for each in got.taken]
    assert {each.json["id"] for each in got.taken} == wanted
    assert {each.json["id"] for each in got.taken if not each.json["durable"]} >= {event.id for event in during}
    told_once = [each for each in keys if keys.count(each) == 1]
    assert len(told_once) >= len(keys) - 2 * len(before), "only what was under way may come again, under its own key"
