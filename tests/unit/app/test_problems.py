"""Every error of the library is a problem with a status of its own."""

import json

import pytest
from app.problems import MEDIA_TYPE, NotFoundError, problem_of

from vigil.errors import (
    ConfigError,
    EndpointBusy,
    EndpointError,
    JobError,
    RowRefused,
    SourceError,
    StoreError,
    UsageError,
    VigilError,
)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (UsageError("x"), 400, "bad-request"),
        (ConfigError("x", ["y"]), 400, "configuration"),
        (SourceError("x"), 422, "source"),
        (StoreError("x"), 503, "store"),
        (RowRefused("x"), 422, "refused"),
        (EndpointBusy("x"), 503, "endpoint"),
        (EndpointError("x"), 502, "endpoint"),
        (JobError("x"), 500, "internal"),
        (NotFoundError("x"), 404, "not-found"),
    ],
)
def test_an_error_becomes_a_problem(error: VigilError, status: int, kind: str) -> None:
    answer = problem_of(error)
    told = json.loads(bytes(answer.body))
    assert answer.media_type == MEDIA_TYPE and answer.status_code == told["status"] == status
    assert told["type"] == f"urn:vigil:problem:{kind}" and told["detail"]
    assert ("retry-after" in answer.headers) == (status == 503)


def test_a_problem_tells_no_password() -> None:
    told = bytes(problem_of(SourceError("rtsp://ada:secret@10.0.0.7/door is silent")).body)
    assert b"secret" not in told and b"10.0.0.7" in told
