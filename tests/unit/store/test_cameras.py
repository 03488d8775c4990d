"""Cameras of a store: an id that stays, a name that people may change, and nothing that mixes two of one name."""

import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from incidents import make_event, make_judged
from vigil.errors import UsageError
from vigil.events import Event
from vigil.masks import Mask
from vigil.store import CameraRecord, EventFilter, Store
from vigil.store.cameras import CameraSettings, derived_id
from vigil.store.event_record import event_record

ONE = CameraRecord(id="", name="clip.mp4", identity="a" * 24, kind="file", address="/a/clip.mp4")
OTHER = replace(ONE, identity="b" * 24, address="/b/clip.mp4")


def watched(store: Store, camera: CameraRecord, *, events: int = 1) -> list[Event]:
    """Has a camera be watched, with events of it."""
    session = store.sessions.start(source=camera.name, camera=camera)
    found = [make_event(source=camera.name, camera_id=session.camera_id) for _ in range(events)]
    for event in found:
        store.events.save(event)
    return found


def ids(events: list[Event]) -> set[str]:
    return {event.id for event in events}


def test_a_camera_has_an_id_that_is_the_same_at_every_watch_and_no_other_has() -> None:
    assert re.fullmatch(r"cam_[0-9a-f]{8}", derived_id("a", "key"))
    assert derived_id("a", "key") == derived_id("a", "key") != derived_id("b", "key")
    assert derived_id("a", "key") != derived_id("a", "another store's")
    first = derived_id("a", "key")
    assert derived_id("a", "key", is_taken=first.__eq__) != first


def test_the_id_that_is_told_before_a_camera_is_noted_is_the_one_it_gets(store: Store) -> None:
    told = store.cameras.id_of(ONE.identity, ONE.name)
    assert store.cameras.all() == [] and store.cameras.register(ONE).id == told == store.cameras.register(ONE).id
    [row] = store.cameras.all()
    assert (row.name, row.kind, row.address, row.created_utc != "") == ("clip.mp4", "file", "/a/clip.mp4", True)


def test_two_files_of_one_name_mix_neither_events_nor_verdicts_nor_watches(store: Store) -> None:
    watched(store, ONE), watched(store, OTHER, events=2)
    one, other = (store.cameras.id_of(each.identity, each.name) for each in (ONE, OTHER))
    assert [len(store.events.find(EventFilter(source=camera))) for camera in (one, other)] == [1, 2]
    assert len(store.events.find(EventFilter(source="clip.mp4"))) == 3, "a name means every camera of that name"
    for camera, windows in ((one, 2), (other, 3)):
        store.verdicts.add([replace(make_judged(w, source="clip.mp4"), camera_id=camera) for w in range(windows)])
        [session] = store.sessions.of_camera(camera)
        judged, events = store.verdicts.of_session(session), store.events.of_session(session)
        assert len(judged) == windows and {each.camera_id for each in [*judged, *events]} == {camera}
    closed = store.events.recover("clip.mp4", camera_id=one)
    assert [event.camera_id for event in closed] == [one] and len(store.events.find_open()) == 2


def test_a_rename_keeps_the_history_and_the_list_of_sources_may_go_on_with_its_own_name(store: Store) -> None:
    before = watched(store, ONE)
    camera = store.cameras.rename("clip.mp4", "front door")
    after = watched(store, ONE)
    assert {event.source for event in store.events.find()} == {"front door"} and store.events.sources() == [
        "front door"
    ]
    for word in ("front door", camera.id):
        assert ids(store.events.find(EventFilter(source=word))) == ids(before + after)
    assert store.events.find(EventFilter(source="clip.mp4")) == []
    assert ids(store.events.find(EventFilter(text="FRONT"))) == ids(before + after)
    assert store.cameras.renamed() == {(ONE.identity, "clip.mp4"): "front door"}
    watched(store, replace(ONE, name="yard"))
    assert store.cameras.find("yard").id == camera.id, "who says last what it is called is heard"


def test_the_name_of_a_camera_that_was_renamed_is_free_for_another(store: Store) -> None:
    watched(store, ONE)
    store.cameras.rename("clip.mp4", "gone")
    other = watched(store, OTHER)
    assert ids(store.events.find(EventFilter(source="clip.mp4"))) == ids(other)


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\nb", "cam_0123abcd"])
def test_a_name_that_cannot_be_is_refused(store: Store, name: str) -> None:
    watched(store, ONE)
    with pytest.raises(UsageError, match="name"):
        store.cameras.rename("clip.mp4", name)


def test_a_name_that_another_camera_has_is_refused_and_one_of_two_cameras_asks_for_an_id(store: Store) -> None:
    watched(store, ONE), watched(store, replace(OTHER, name="yard"))
    with pytest.raises(UsageError, match=r"cam_\w+ is called 'yard' already"):
        store.cameras.rename("clip.mp4", "yard")
    watched(store, replace(OTHER, identity="c" * 24))
    with pytest.raises(UsageError, match=r"2 cameras are called 'clip\.mp4'; give an id: cam_"):
        store.cameras.find("clip.mp4")
    with pytest.raises(UsageError, match="has no camera 'nobody'"):
        store.cameras.find("nobody")


def test_a_camera_that_moved_keeps_its_id_and_gets_what_was_found_at_its_new_address(store: Store) -> None:
    old = watched(store, replace(ONE, name="door"))
    new = watched(store, replace(OTHER, name="door (2)"))
    moved = store.cameras.move("door", replace(OTHER, kind="stream"))
    assert store.cameras.all() == [moved] and (moved.kind, moved.address) == ("stream", OTHER.address)
    assert ids(store.events.find(EventFilter(source=moved.id))) == ids(old + new)
    assert store.cameras.id_of(OTHER.identity, "any") == moved.id
    assert len(store.sessions.of_camera(moved.id)) == 2


def test_a_camera_that_only_had_a_name_is_the_first_source_of_that_name(store: Store) -> None:
    store.sessions.start(source="clip.mp4")
    store.events.save(make_event(source="clip.mp4"))
    [nameless] = store.cameras.all()
    assert store.cameras.id_of(ONE.identity, ONE.name) == nameless.id
    watched(store, ONE), watched(store, OTHER)
    assert len(store.cameras.all()) == 2 and store.cameras.find(nameless.id).identity == ONE.identity


def test_an_event_that_is_saved_again_without_its_camera_keeps_it(store: Store) -> None:
    [event] = watched(store, ONE)
    store.events.save(replace(event, camera_id="", text="later"), session=None)
    assert store.events.get(event.id).camera_id == event.camera_id


def test_a_word_that_is_no_text_finds_nothing_and_fails_nothing(store: Store) -> None:
    watched(store, replace(ONE, name="clip\udcff.mp4"))
    assert len(store.events.find(EventFilter(source="clip\udcff.mp4"))) == 1
    assert store.events.find(EventFilter(source="\udcfe")) == []


def test_the_camera_of_an_address_cannot_be_guessed_from_its_id_alone(tmp_path: Path) -> None:
    found = set()
    for name in ("a.db", "b.db"):
        with Store.open(tmp_path / name) as store:
            found.add(store.cameras.id_of(ONE.identity, ONE.name))
    assert len(found) == 2
    with sqlite3.connect(tmp_path / "a.db") as connection:
        [(key,)] = connection.execute("SELECT value FROM settings WHERE name = 'camera key'")
    assert len(key) == 32


LEFT = Mask(kind="privacy", points=((0, 0), (0.5, 0), (0.5, 1)))
RIGHT = Mask(kind="ignore", points=((0.5, 0), (1, 0), (1, 1)))


def test_masks_and_places_that_people_set_hold_until_the_settings_say_something_else(store: Store) -> None:
    said = replace(ONE, place="north", masks=(LEFT,))
    assert store.cameras.settings_of(said) == CameraSettings(masks=(LEFT,), place="north"), "before it was ever watched"
    camera = store.cameras.register(said)
    assert (camera.masks, camera.place) == ((LEFT,), "north")
    store.cameras.set_masks(camera.id, [RIGHT])
    store.cameras.set_place(camera.id, "gate")
    for same in (said, ONE):
        assert store.cameras.settings_of(same) == CameraSettings(masks=(RIGHT,), place="gate")
        found = store.cameras.register(same)
        assert (found.masks, found.place) == ((RIGHT,), "gate")
    new = replace(said, place="south", masks=())
    assert store.cameras.settings_of(new) == CameraSettings(place="south")
    store.cameras.register(new)
    assert store.cameras.settings_of(ONE) == CameraSettings(place="south")


def test_rules_that_people_set_hold_until_the_settings_say_something_else(store: Store) -> None:
    by_day, by_night = '{"schedule":"08:00-18:00"}', '{"schedule":"22:00-06:00"}'
    said = replace(ONE, rules=by_day)
    assert store.cameras.settings_of(ONE).rules == "" and store.cameras.settings_of(said).rules == by_day
    camera = store.cameras.register(said)
    assert camera.rules == by_day
    assert store.cameras.set_rules(camera.id, by_night).rules == by_night
    for same in (said, ONE):
        assert store.cameras.settings_of(same).rules == by_night == store.cameras.register(same).rules
    assert store.cameras.register(replace(said, rules="{}")).rules == "{}"
    assert store.cameras.settings_of(ONE).rules == "{}"
    with pytest.raises(UsageError, match="has no camera 'nobody'"):
        store.cameras.set_rules("nobody", by_day)


def test_an_event_says_where_its_camera_is_now(store: Store) -> None:
    [event] = watched(store, replace(ONE, place="north"))
    assert store.events.get(event.id).place == "north"
    store.cameras.set_place(event.camera_id, "gate")
    assert store.events.get(event.id).place == "gate" and event_record(store.events.get(event.id))["place"] == "gate"


def test_a_camera_that_is_moved_to_a_known_address_keeps_the_masks_of_both(store: Store) -> None:
    one, other = store.cameras.register(replace(ONE, masks=(LEFT,))), store.cameras.register(replace(OTHER, name="b"))
    store.cameras.set_masks(other.id, [RIGHT, LEFT])
    moved = store.cameras.move(one.id, replace(OTHER, id=""))
    assert moved.masks == (LEFT, RIGHT) and [each.id for each in store.cameras.all()] == [one.id]
