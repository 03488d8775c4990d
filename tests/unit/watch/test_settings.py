from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from vigil.config import find_config, read_yaml
from vigil.errors import ConfigError, UsageError
from vigil.watch.settings import WatchSettings, load_watch_settings


def test_options_beat_the_file_and_set_beats_options() -> None:
    settings = load_watch_settings("default", {"words": "events", "realtime": True}, ["words=never", "events.k=1"])
    assert (settings.words, settings.realtime, settings.events.k, settings.events.n) == ("never", True, 1, 3)


def test_a_text_that_is_set_stays_as_it_was_typed() -> None:
    words = ["store=x/夜 #3,a.db", "model=7", "url=http://127.0.0.1:1/v1 #b", "model_dir=[a]", "task=null"]
    settings = load_watch_settings("default", {}, words)
    assert (settings.store, settings.model, str(settings.model_dir)) == ("x/夜 #3,a.db", "7", "[a]")
    assert settings.url.endswith(" #b") and settings.task is None
    with pytest.raises(ConfigError, match="k must be a whole number, not '1 #one'"):
        load_watch_settings("default", {}, ["events.k=1 #one"])


def test_a_key_that_no_setting_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'in_flight'"):
        load_watch_settings("default", {"in_fligt": 3}, [])


@pytest.mark.parametrize(
    ("named", "words", "said"),
    [
        ({}, ["words=never", "word=never"], "--set word=never: unknown key 'word' (did you mean 'words'?)"),
        ({}, ["words=sometimes"], "--set words=sometimes: words must be one of "),
        ({}, ["events.k=1", "events.kk=1"], "--set events.kk=1: events: unknown key 'kk'"),
        ({"in_flight": "many"}, [], "--in-flight: in_flight must be a whole number"),
        ({}, ["word=rtsp://ann:secret@door/1"], "--set word=rtsp://door/1: unknown key"),
    ],
)
def test_a_wrong_word_is_blamed_and_not_the_file(named: dict[str, Any], words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as told:
        load_watch_settings("default", named, words)
    assert str(told.value).startswith(said) and "secret" not in str(told.value)


def test_a_wrong_file_is_blamed_whatever_was_said_besides(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("in_fligt: 3\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: unknown key 'in_fligt'"):
        load_watch_settings(str(tmp_path / "mine.yaml"), {"realtime": True}, ["words=never"])


def test_a_setting_is_no_group() -> None:
    with pytest.raises(UsageError, match="words is a setting of its own"):
        load_watch_settings("default", {}, ["words.x=1"])


def names_of(settings: Any, above: str = "") -> set[str]:
    """The names of all settings, nested ones with dots."""
    names: set[str] = set()
    for field in fields(settings):
        value = getattr(settings, field.name)
        names |= names_of(value, f"{above}{field.name}.") if is_dataclass(value) else {above + field.name}
    return names


def keys_of(data: dict[str, Any], above: str = "") -> set[str]:
    keys: set[str] = set()
    for key, value in data.items():
        keys |= keys_of(value, f"{above}{key}.") if isinstance(value, dict) else {above + key}
    return keys


@pytest.mark.parametrize("share", ["-0.1", "1.5"])
def test_a_share_that_is_none_is_refused(share: str) -> None:
    with pytest.raises(UsageError, match="min_mass is a share, from 0 to 1"):
        load_watch_settings("default", {}, [f"min_mass={share}"])


def test_clips_that_would_end_before_their_incident_are_refused() -> None:
    with pytest.raises(UsageError, match=r"clips of 2 s \(most_s\) would end before the incident"):
        load_watch_settings("default", {}, ["clips.most_s=2"])


def test_the_default_file_lists_every_setting_with_its_default() -> None:
    assert keys_of(read_yaml(find_config("watch", "default"))) == names_of(WatchSettings())
    assert load_watch_settings("default", {}, []) == WatchSettings()
