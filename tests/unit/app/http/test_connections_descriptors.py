import resource
import subprocess
import sys

import pytest
from app.http.connections import connection_limits, raise_limit

from vigil.errors import UsageError

RAISED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from app.http.connections import raise_limit
print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def raised(soft: int, hard: int) -> list[int]:
    told = subprocess.run(
        [sys.executable, "-c", RAISED, str(soft), str(hard)], capture_output=True, text=True, check=True
    )
    return [int(word) for word in told.stdout.split()]


def test_the_limit_of_open_files_is_raised_as_far_as_it_goes() -> None:
    assert raised(128, 700) == [700, 700, 700]
    assert raised(256, 256) == [256, 256, 256]
    assert raise_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@pytest.mark.parametrize(
    ("descriptors", "in_all", "per_address"), [(65_536, 1024, 256), (1024, 256, 64), (256, 64, 16), (64, 16, 12)]
)
def test_visitors_take_a_quarter_of_the_descriptors_at_the_most(
    descriptors: int, in_all: int, per_address: int
) -> None:
    limits = connection_limits(descriptors)
    assert (limits.in_all, limits.per_address) == (in_all, per_address)


def test_fewer_may_be_asked_for_and_no_more_than_the_share() -> None:
    limits = connection_limits(1024, in_all=100, per_address=100)
    assert (limits.in_all, limits.per_address) == (100, 100)
    assert connection_limits(65_536, in_all=4000).in_all == 4000
    with pytest.raises(UsageError, match="the cameras need the others"):
        connection_limits(1024, in_all=257)
    with pytest.raises(UsageError, match="--connections 0"):
        connection_limits(1024, in_all=0)
    with pytest.raises(UsageError, match="--connections-per-address 101"):
        connection_limits(1024, in_all=100, per_address=101)
