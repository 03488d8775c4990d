import re

from vigil.events import EventIdGenerator, new_id


def test_ids_rise_within_a_millisecond_and_when_the_clock_is_set_back() -> None:
    moments = iter([1000.0, 1000.0, 1000.0, 5.0, 2000.0])
    make = EventIdGenerator(lambda: next(moments))
    ids = [make() for _ in range(5)]
    assert ids == sorted(set(ids)) and ids[0].startswith("19700101T001640000Z-")


def test_an_id_is_fit_for_a_file_name_and_begins_with_its_time() -> None:
    assert re.fullmatch(r"\d{8}T\d{9}Z-[0-9a-f]{8}", new_id())
