"""Text search: substrings in Chinese and English, by an index that is never behind; and lists whose plans go by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event as hooks
from sqlalchemy import text

from incidents import make_event, make_judged
from new_stores import ENGINES, url_of
from vigil.errors import UsageError
from vigil.events import Tier
from vigil.store import CameraRecord, EventFilter, RetentionSettings, Store, event_query, migrations, prune
from vigil.store import events as events_module
from vigil.store import store as store_module
from vigil.store.term_index import asked_terms, fold, terms_of

CAMERAS = [f"cam_0000000{number}" for number in range(8)]
MANY = 3000


def ids(store: Store, words: str) -> list[str]:
    return [event.id for event in store.events.find(EventFilter(text=words))]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("打架", "ac"), ("打", "ac"), ("人打架", "a"), ("架打", ""), ("AMBULANCE", "b"), ("mbul", "b"), ("ｃ３", "bc"),
        ("c3", "bc"), ("C3摄像头", "c"), ("头,东北", "c"), ("ambulance  at", "b"), ("100%", "d"), ("100", "de"),
        ("%", "d"), ("_", ""), ("é", "e"), ("CAFÉ", "e"), ("tv", "e"), ("nothing of this", ""), ("𠮷野", "d"),
        ("สวัสดี", "e"),
    ],
)  # fmt: skip
def test_a_text_is_found_wherever_it_stands_in_any_case_and_width(store: Store, words: str, found: str) -> None:
    said = {
        "a": "两个人打架",
        "b": "Ambulance at gate C3",
        "c": "检测到打架: C3摄像头,东北区域",
        "d": "100% sure, 𠮷野家",
        "e": "1001 café TV สวัสดีครับ",
    }
    for name, described in said.items():
        store.events.save(make_event(id=name, text=described))
    assert "".join(sorted(ids(store, words))) == found
    assert sorted(store.search.find(words, limit=9)) == list(found)


def test_whatever_a_text_contains_it_has_the_parts_of() -> None:
    folded = fold("检测到打架: C3摄像头,东北 Ambulance é1 ﬁn")
    for begin in range(len(folded)):
        for end in range(begin + 1, len(folded) + 1):
            assert asked_terms(folded[begin:end]) <= terms_of(folded)


def test_the_index_follows_words_that_come_later_notes_renames_and_deletion(store: Store) -> None:
    event = make_event(id="a", text="", epoch_s=1000.0)
    store.events.save(event)
    assert ids(store, "arguing") == []
    store.events.save(replace(event, text="two men arguing"))
    assert ids(store, "arguing") == ["a"]
    store.events.save(replace(event, text="两人争吵", end_s=5.0))
    assert ids(store, "arguing") == [] and ids(store, "争吵") == ["a"]
    store.marks.add("a", "unsure", who="lena", note="邻居说没事")
    store.marks.add("a", "", who="lena", note="")
    assert ids(store, "邻居") == ["a"]
    prune(store, RetentionSettings(event_days=1), also_marked=True)
    assert store.search.find("争吵", limit=1) == []
    store.events.save(make_event(id="b", text="争吵"))
    assert ids(store, "争吵") == ["b"]


def test_events_that_an_older_vigil_wrote_are_found_after_the_next_pruning(store: Store) -> None:
    for name in "abc":
        store.events.save(make_event(id=name, text="old words"))
    with store.database.writing("as an older Vigil leaves it") as connection:
        connection.execute(text("DELETE FROM event_search WHERE event_id <> 'b'"))
    assert ids(store, "old words") == ["b"]
    prune(store, RetentionSettings())
    assert ids(store, "old words") == ["a", "b", "c"] and store.search.index_missing() == 0


EVENT_OF_BEFORE = """INSERT INTO events (id, source, task, model, onset_s, peak, peak_s, tier, text, closed_because,
    happened_utc, ended_utc, created_utc, updated_utc, camera_id, rule)
    VALUES (:id, 'door', 'fight', 'm', 0, 0.9, 1, 'low', :words, '', '', '', '', '', '', '')"""


def test_a_store_of_before_gets_the_index_when_it_is_opened(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = next(step.number for step in migrations.MIGRATIONS if "full-text" in step.name)
    with monkeypatch.context() as older:
        older.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[: before - 1])
        older.setattr(migrations, "NEWEST", before - 1)
        older.setattr(store_module, "NEWEST", before - 1)
        older.setattr(events_module, "index_new", lambda *_: None)
        with Store.open(url, folder=tmp_path) as store, store.database.writing("events of before") as connection:
            for number in range(3):
                values = {"id": f"e{number}", "words": f"打架 number {number}"}
                connection.execute(text(EVENT_OF_BEFORE), values)
    with Store.open(url, folder=tmp_path) as store:
        assert store.search.find("打架", limit=9) == ["e0", "e1", "e2"] and ids(store, "number 2") == ["e2"]


def test_what_is_rare_and_what_is_common_is_found_alike(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.cameras.register(CameraRecord(id=CAMERAS[0], name="gate 打架", identity="i"))
    for number in range(8):
        words, camera = ("打架", CAMERAS[1]) if number % 2 else ("a quiet day", CAMERAS[number % 4])
        store.events.save(make_event(id=f"e{number}", text=words, camera_id=camera, epoch_s=1000.0 + number))
        if number % 4 == 0:
            store.marks.add(f"e{number}", "true", who="lena")
    wanted = [EventFilter(text="打架"), EventFilter(text="quiet"), EventFilter(mark="true"), EventFilter(mark="unsure")]
    wanted += [EventFilter(text="打架", mark="true"), EventFilter(mark="unmarked", text="quiet", limit=1)]
    rare = [store.events.find(each) for each in wanted]
    monkeypatch.setattr(event_query, "FEW", 1)
    assert [store.events.find(each) for each in wanted] == rare
    assert [len(found) for found in rare] == [6, 4, 2, 0, 2, 1]
    assert [store.events.count(replace(each, limit=None)) for each in wanted] == [6, 4, 2, 0, 2, 2]


def all_pages(store: Store, wanted: EventFilter, *, size: int) -> list[str]:
    """The ids of all pages of a list, one page after the other."""
    found, page = [], store.events.page(wanted, size=size)
    found += [event.id for event in page.events]
    while page.next:
        page = store.events.page(wanted, after=page.next, size=size)
        found += [event.id for event in page.events]
    return found


@pytest.mark.parametrize(("few", "near"), [(1000, 400), (2, 400), (2, 4), (0, 1), (5, 2)])
def test_pages_hold_the_same_events_whether_they_are_walked_to_or_looked_up(
    store: Store, monkeypatch: pytest.MonkeyPatch, few: int, near: int
) -> None:
    store.cameras.register(CameraRecord(id=CAMERAS[0], name="gate 打架", identity="i"))
    marks = ("true", "false_alarm", "", "unsure")
    for number in range(24):
        # Three at a time happen at one moment, and nothing of late is what is asked for.
        said = "打架" if number % 3 == 0 and number < 18 else "a quiet day"
        tier, camera = (Tier.HIGH, CAMERAS[1]) if number % 2 else (Tier.LOW, CAMERAS[number % 4])
        epoch_s = 1000.0 + number // 3
        store.events.save(make_event(id=f"e{number:02d}", text=said, tier=tier, camera_id=camera, epoch_s=epoch_s))
        for mark in marks[number % 4 :: 2] if number < 18 else ():
            store.marks.add(f"e{number:02d}", mark, who="lena")  # type: ignore[arg-type]
    wanted = [EventFilter(mark=mark) for mark in ("true", "false_alarm", "unsure", "unmarked")]  # type: ignore[arg-type]
    wanted += [EventFilter(text=words) for words in ("打架", "quiet", "q", "none of this")]
    wanted += [
        EventFilter(text="打架", mark="unsure"),
        EventFilter(text="打架", mark="unsure", tier=Tier.HIGH, source=CAMERAS[1]),
        EventFilter(text="gate", mark="false_alarm"),
    ]
    expected = [[event.id for event in store.events.find(each)][::-1] for each in wanted]
    assert sum(map(len, expected)) > 24
    monkeypatch.setattr(event_query, "FEW", few)
    monkeypatch.setattr(event_query, "NEAR", near)
    assert [all_pages(store, each, size=3) for each in wanted] == expected
    assert [store.events.count(each) for each in wanted] == [len(ids) for ids in expected]


def test_a_page_follows_the_last_one_whatever_comes_in_between(store: Store) -> None:
    # Several at one moment, as those of a file are.
    for number in range(9):
        store.events.save(make_event(id=f"e{number}", epoch_s=1000.0 + number // 3))
    first = store.events.page(size=4)
    store.events.save(make_event(id="new", epoch_s=2000.0))
    second = store.events.page(after=first.next, size=4)
    third = store.events.page(after=second.next, size=4)
    pages = [[event.id for event in page.events] for page in (first, second, third)]
    assert pages == [["e8", "e7", "e6", "e5"], ["e4", "e3", "e2", "e1"], ["e0"]] and third.next == ""
    assert store.events.page(EventFilter(tier=Tier.HIGH)).events == ()
    with pytest.raises(UsageError, match="no place in the list"):
        store.events.page(after="nonsense")


def test_events_are_found_by_the_rule_that_made_them(store: Store) -> None:
    for name in ("loitering", "fight"):
        store.events.save(make_event(id=name, rule=name))
    assert [event.id for event in store.events.find(EventFilter(rule="fight"))] == ["fight"]


@pytest.fixture(scope="module", params=ENGINES)
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store that tests only read, with so many rows that its planner prefers an index wherever there is one."""
    folder = tmp_path_factory.mktemp("large")
    with Store.open(url_of(request.param, request, folder), folder=folder / "kept") as store:
        _fill(store)
        yield store


def _fill(store: Store) -> None:
    with store.database.writing("a test's rows") as connection:
        for number, camera in enumerate(CAMERAS):
            values = {"id": camera, "name": f"door {number}"}
            columns = "id, name, source_name, identity, kind, address, place, created_utc, watched_utc"
            row = f"INSERT INTO cameras ({columns}) VALUES (:id, :name, :name, :id, '', '', '', '', '')"
            connection.execute(text(row), values)
        session = "INSERT INTO sessions VALUES ('s', 'door', 0, '', '', '', '', NULL, '', '', :id)"
        connection.execute(text(session), {"id": CAMERAS[0]})
        numbers = [{"n": number, "camera": CAMERAS[number % 8]} for number in range(MANY)]
        insert = """INSERT INTO events (id, session_id, source, task, model, onset_s, end_s, peak, peak_s, tier, text,
            closed_because, happened_utc, ended_utc, created_utc, updated_utc, camera_id, rule) VALUES
            ('e' || :n, 's', 'door', '', '', 0, 1, 0.9, 0, 'low', 'words of event number ' || :n, '',
             CAST(20000 + :n AS VARCHAR), CAST(20000 + :n AS VARCHAR), '', '', :camera, 'fight')"""
        connection.execute(text(insert.replace(":n", "CAST(:n AS INTEGER)")), numbers)
        columns = 'event_id, "window", start_s, end_s, p_alarm'
        connection.execute(text(f"INSERT INTO event_windows ({columns}) SELECT id, 0, 0, 1, 0.9 FROM events"))
        marked = "INSERT INTO marks SELECT id, 1, 'unsure', 'lena', '', '', '' FROM events WHERE happened_utc < '21500'"
        connection.execute(text(marked))
    store.search.index_missing()
    store.verdicts.add([make_judged(number) for number in range(MANY)], sessions=["s"] * MANY)
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


@contextmanager
def plans_of(store: Store) -> Iterator[list[str]]:
    """The plans of the queries that the block runs."""
    asked: list[tuple[str, object]] = []
    found: list[str] = []

    def note(connection: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith(("SELECT", "WITH")):
            asked.append((statement, parameters))

    hooks.listen(store.database.engine, "before_cursor_execute", note)
    yield found
    hooks.remove(store.database.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if store.database.engine.dialect.name == "sqlite" else "EXPLAIN "
    with store.database.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            # Then it reads a table in full only where no index helps, however few rows there are.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in asked:
            rows = connection.exec_driver_sql(explain + statement, parameters).all()  # type: ignore[arg-type]
            found.append(statement + "\n" + "\n".join(str(row[-1]) for row in rows))


def full_scans(plans: list[str], *tables: str) -> list[str]:
    """Those that read a whole table, row by row."""
    marks = [f"Seq Scan on {table}" for table in tables]
    lines = [line for plan in plans for line in plan.splitlines()]
    in_full = [line for line in lines if any(mark in line for mark in marks)]
    return in_full + [line for line in lines for table in tables if line.strip() == f"SCAN {table}"]


@pytest.mark.parametrize(
    "wanted",
    [
        EventFilter(),
        EventFilter(source="door 3"),
        EventFilter(source=CAMERAS[3], since_utc="20100", until_utc="20200"),
        EventFilter(since_utc="22990"),
        EventFilter(until_utc="20010"),
        EventFilter(tier=Tier.HIGH),
        EventFilter(rule="loitering"),
        EventFilter(open_only=True),
        EventFilter(mark="true"),
        EventFilter(mark="unmarked"),
        EventFilter(mark="unsure"),
        EventFilter(mark="unsure", until_utc="21400"),
        EventFilter(text="number 77", tier=Tier.LOW),
        EventFilter(text="words"),
        EventFilter(text="words", source="door 3", tier=Tier.HIGH, mark="true"),
        EventFilter(text="words", source="door 3", mark="unsure"),
    ],
    ids=str,
)
def test_no_list_reads_all_events_or_sorts_them(large: Store, wanted: EventFilter) -> None:
    with plans_of(large) as plans:
        page = large.events.page(wanted, size=25)
        large.events.page(wanted, size=25, after="22000~e2000")
        large.events.sources()
    assert full_scans(plans, "events", "event_search", "marks", "event_windows") == [], "\n\n".join(plans)
    assert len(page.events) <= 25


def test_a_common_mark_and_a_common_text_are_met_without_looking_all_of_them_up(large: Store) -> None:
    for wanted in (EventFilter(mark="unsure"), EventFilter(text="words")):
        with plans_of(large) as plans:
            page = large.events.page(wanted, size=25, after="21500~e1500")
        assert len(page.events) == 25 and page.events[0].id == "e1499"
        looked_up = [plan for plan in plans if "marks_1.number" in plan or "event_search.event_id \nFROM" in plan]
        assert looked_up == [], "\n\n".join(plans)


def test_the_verdicts_around_an_event_are_read_without_those_long_before(large: Store) -> None:
    event = replace(make_event(id="e7", text="w", onset_s=4000.0, end_s=4002.0), windows=())
    with plans_of(large) as plans:
        around = large.verdicts.around(event, margin_s=10)
    assert [judged.start_s for judged in around] == [float(second) for second in range(3988, 4013, 2)]
    assert full_scans(plans, "verdicts", "sessions", "events") == [], "\n\n".join(plans)
    assert any("verdicts_by_second" in plan for plan in plans)
