import pytest

from vigil.errors import ConfigError
from vigil.watch.settings import settings_of


def test_options_beat_the_file_and_set_beats_options() -> None:
    settings = settings_of("default", {"words": "events", "realtime": True}, ["words=never", "events.k=1"])
    assert (settings.words, settings.realtime, settings.events.k, settings.events.n) == ("never", True, 1, 3)


def test_a_key_that_no_setting_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'in_flight'"):
        settings_of("default", {"in_fligt": 3}, [])
