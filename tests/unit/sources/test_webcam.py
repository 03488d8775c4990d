import pytest

from vigil.errors import SourceError
from vigil.frames import Sampling
from vigil.sources import webcam


@pytest.mark.parametrize("number", [97, -1])
def test_a_camera_that_is_not_there_is_a_clear_error(sampling: Sampling, number: int) -> None:
    with pytest.raises(SourceError, match=f"webcam {number} "):
        next(webcam.read(number, sampling))
