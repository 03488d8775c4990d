"""No property is timed: on a machine with other things to do, the first example can take a second."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _filters_of_logs_end_with_their_test() -> Iterator[None]:
    """`web.py` limits what a terminal is shown; pytest's own handlers stay the same from test to test."""
    before = [(handler, list(handler.filters)) for handler in logging.getLogger().handlers]
    yield
    for handler, filters in before:
        handler.filters[:] = filters
