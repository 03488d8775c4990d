"""Answers that are kept while nothing changes: who gets them, when they are outdated, and what their ETag says."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from app.api.kept_answers import LARGEST_BYTES, OVERHEAD_BYTES, KeptAnswers
from app.principal import Principal
from starlette.types import Message, Receive, Scope, Send

from api_service import EVENT, Service, vigil
from vigil.store import Store
from vigil.store.api_keys import ApiKey
from vigil.store.users import Role

VIEWER = Principal(name="key a (1)", role=Role.VIEWER, kind="key")


class Counting:
    """An application that answers with how often it was asked, and to what."""

    def __init__(self, *, status: int = 200, pieces: int = 1, filling: bytes = b"") -> None:
        self.asked = 0
        self.answers: dict[str, int] = {}
        self._status = status
        self._pieces = pieces
        self._filling = filling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        for left in range(self._pieces, 0, -1):
            body = f"{scope['path']} {self.asked}".encode() + self._filling
            await send({"type": "http.response.body", "body": body, "more_body": left > 1})


class Asked:
    """An application behind `KeptAnswers`, asked from a test; `version` is that of what it answers from."""

    def __init__(self, app: Counting, **more: Any) -> None:
        self.version: object | None = 1
        self.app = app
        self._kept = KeptAnswers(app, lambda: self.version, **more)

    def get(
        self,
        path: str = "/api/v1/events",
        query: str = "",
        *,
        method: str = "GET",
        caller: Principal = VIEWER,
        etag: str = "",
    ) -> tuple[int, bytes, dict[bytes, bytes]]:
        """Status, body and headers of an answer."""
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"if-none-match", etag.encode())] if etag else [],
            "vigil_principal": caller,
        }
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        asyncio.run(self._kept(scope, receive, send))
        body = b"".join(each.get("body", b"") for each in sent[1:])
        return sent[0]["status"], body, dict(sent[0]["headers"])


@pytest.fixture
def asked() -> Asked:
    return Asked(Counting())


def test_the_same_question_is_answered_once_as_long_as_nothing_changes(asked: Asked) -> None:
    assert asked.get() == asked.get() and asked.app.asked == 1
    asked.version = 2
    assert asked.get()[1] == b"/api/v1/events 2"


def test_another_question_is_another_answer(asked: Asked) -> None:
    found = [asked.get(query=query)[1] for query in ("limit=1", "limit=2", "limit=1", "camera=a", "camera=b")]
    assert len(set(found)) == 4 and found[0] == found[2]


@pytest.mark.parametrize(
    "other",
    [
        Principal(name="otto", role=Role.OPERATOR, kind="session"),
        Principal(name="key b (2)", role=Role.VIEWER, kind="key", scopes=("events",)),
    ],
)
def test_another_role_or_other_scopes_are_asked_about_anew(asked: Asked, other: Principal) -> None:
    assert asked.get() != asked.get(caller=other) and asked.app.asked == 2


def test_a_caller_with_the_same_rights_gets_the_same_answer(asked: Asked) -> None:
    asked.get()
    asked.get(caller=Principal(name="vera", role=Role.VIEWER, kind="session", csrf_token="x", address="10.0.0.7"))
    assert asked.app.asked == 1


@pytest.mark.parametrize(
    ("path", "query", "method"),
    [
        ("/api/v1/cameras", "", "GET"),
        ("/api/v1/status", "", "GET"),
        ("/api/v1/session", "", "GET"),
        ("/api/v1/audit", "", "GET"),
        ("/api/v1/events/export.csv", "", "GET"),
        ("/api/v1/events/e1/clip", "", "GET"),
        ("/api/v1/events/e1/marks", "", "POST"),
        ("/api/v1/events", "since=2h", "GET"),
        ("/api/v1/events", "limit=2&until=7d", "GET"),
        ("/api/v1/events", "%73ince=2h", "GET"),
        ("/api/v1/events", f"text={'x' * 3000}", "GET"),
    ],
)
def test_what_follows_from_more_than_the_store_is_asked_each_time(
    asked: Asked, path: str, query: str, method: str
) -> None:
    answers = [asked.get(path, query, method=method) for _ in range(2)]
    assert asked.app.asked == 2 and b"etag" not in answers[0][2]


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_refusals_and_failures_are_never_kept(status: int) -> None:
    asked = Asked(Counting(status=status))
    assert [asked.get()[0], asked.get()[0]] == [status, status] and asked.app.asked == 2


def test_what_comes_in_pieces_is_passed_on_as_it_comes() -> None:
    asked = Asked(Counting(pieces=3))
    assert asked.get()[1] == b"/api/v1/events 1" * 3 and asked.get()[1] == b"/api/v1/events 2" * 3


def test_nothing_is_kept_while_the_version_of_the_store_is_not_known(asked: Asked) -> None:
    asked.version = None
    assert asked.get()[1] != asked.get()[1] and asked.app.asked == 2


def test_who_has_the_answer_is_told_so_without_it(asked: Asked) -> None:
    _, _, headers = asked.get()
    etag = headers[b"etag"].decode()
    for told in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        status, body, kept = asked.get(etag=told)
        assert (status, body) == (304, b"") and kept[b"etag"] == etag.encode()
        assert kept[b"cache-control"] == b"private, no-cache"
    assert asked.get(etag='"other"')[0] == 200 and asked.app.asked == 1


def test_an_answer_that_was_made_again_and_is_the_same_has_the_same_etag() -> None:
    asked = Asked(Counting())
    first = asked.get()[2][b"etag"]
    asked.version, asked.app.asked = 2, 0
    assert asked.get(etag=first.decode())[0] == 304 and asked.app.asked == 1


def test_memory_is_bounded_and_the_one_asked_longest_ago_goes_first() -> None:
    asked = Asked(Counting(), most_bytes=3 * OVERHEAD_BYTES - 1)
    for query in ("limit=1", "limit=2", "limit=1", "limit=3", "limit=1"):
        asked.get(query=query)
    assert asked.app.asked == 3
    asked.get(query="limit=2")
    assert asked.app.asked == 4


def test_an_answer_that_is_very_large_is_not_kept_and_has_an_etag_all_the_same() -> None:
    asked = Asked(Counting(filling=b" " * LARGEST_BYTES))
    assert b"etag" in asked.get()[2] and asked.get()[1].startswith(b"/api/v1/events 2")


def etag_of(client: httpx.Client, path: str, **filters: str) -> str:
    answer = client.get(path, params=filters)
    assert answer.status_code == 200, answer.text
    return answer.headers["etag"]


@pytest.fixture
def made(guarded: Service) -> Iterator[ApiKey]:
    """The key of an operator, on a service that runs."""
    with Store.open(guarded.store) as store:
        yield store.api_keys.add("kept", Role.OPERATOR)


def test_an_etag_of_the_service_changes_with_a_mark_and_with_nothing_else(guarded: Service, made: ApiKey) -> None:
    with guarded.client(key=made.secret) as client:
        paths = ("/events", f"/events/{EVENT}", f"/events/{EVENT}/marks")
        before = [etag_of(client, path) for path in paths]
        assert [etag_of(client, path) for path in paths] == before
        unchanged = client.get("/events", headers={"If-None-Match": before[0]})
        assert unchanged.status_code == 304 and not unchanged.content
        assert unchanged.headers["x-content-type-options"] == "nosniff"
        assert client.post(f"/events/{EVENT}/marks", json={"mark": "true", "note": ""}).status_code == 201
        told = client.get(f"/events/{EVENT}", headers={"If-None-Match": before[1]})
        assert told.status_code == 200 and told.json()["mark"] == "true"
        assert not {*before} & {etag_of(client, path) for path in paths}


def test_a_mark_of_another_process_shows_at_the_next_request(guarded: Service, made: ApiKey) -> None:
    with guarded.client(key=made.secret) as client:
        before = etag_of(client, f"/events/{EVENT}")
        words = ("events", "mark", EVENT, "unsure", "--who", "lena", "--store", str(guarded.store))
        assert vigil(*words).returncode == 0
        told = client.get(f"/events/{EVENT}", headers={"If-None-Match": before})
        assert told.status_code == 200 and told.json()["marked_by"] == "lena"


def test_another_name_of_a_camera_shows_at_the_next_request(guarded: Service, made: ApiKey) -> None:
    with guarded.client(key=made.secret) as client, Store.open(guarded.store) as store:
        before = etag_of(client, "/events", camera="yard")
        assert etag_of(client, "/events", camera="door") != before
        store.cameras.set_place("yard", "south gate")
        assert etag_of(client, "/events", camera="yard") != before
        store.cameras.set_place("yard", "gate")
        assert etag_of(client, "/events", camera="yard") == before


def test_a_kept_answer_is_refused_once_its_key_is_revoked_or_has_too_few_rights(guarded: Service, made: ApiKey) -> None:
    with Store.open(guarded.store) as store:
        narrow = store.api_keys.add("narrow", Role.VIEWER, scopes=("cameras",))
        with guarded.client(key=made.secret) as client, guarded.client(key=narrow.secret) as other:
            etag = etag_of(client, "/events")
            assert other.get("/events", headers={"If-None-Match": etag}).status_code == 403
            store.api_keys.revoke(made.id)
            assert client.get("/events", headers={"If-None-Match": etag}).status_code == 401
    with guarded.client() as nobody:
        assert nobody.get("/events", headers={"If-None-Match": etag}).status_code == 401
