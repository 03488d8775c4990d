"""Who may do what: keys, roles, scopes, sessions and their CSRF tokens, on a service that runs."""

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from app.login_throttle import PER_ADDRESS

from api_service import EVENT, PASSWORD, Service, vigil
from vigil.store import Store
from vigil.store.api_keys import digest_of
from vigil.store.users import Role
from waiting import HANG_S, until

MARK = {"mark": "true", "note": "seen"}


def key(service: Service, role: Role = Role.VIEWER, *, scopes: tuple[str, ...] = (), expires_utc: str = "") -> str:
    with Store.open(service.store) as store:
        return store.api_keys.add("test", role, scopes=scopes, expires_utc=expires_utc).secret


def is_problem(answer: httpx.Response, status: int) -> bool:
    told = answer.json()
    is_one = answer.headers["content-type"] == "application/problem+json" and told["status"] == status
    return is_one and answer.status_code == status and bool(told["detail"])


@pytest.fixture(scope="module")
def vera(guarded: Service) -> str:
    """The key of a viewer."""
    return key(guarded)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        "Bearer vigil_wrong",
        "Bearer " + "x" * 5000,
        "Bearer vigil_\u00e9".encode("latin-1"),
        "Basic %%%",
        "Digest a",
    ],
)
def test_nothing_is_told_without_a_valid_key(guarded: Service, authorization: str | bytes | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    with guarded.client(headers=headers) as client:
        for path in ("/events", "/cameras", "/status", f"/events/{EVENT}/clip", "/openapi.json", "/live", "/metrics"):
            assert is_problem(client.get(path), 401), path
        assert is_problem(client.post(f"/events/{EVENT}/marks", json=MARK), 401)


def test_a_wrong_password_is_refused(guarded: Service) -> None:
    with guarded.client(auth=("ada", "wrong")) as client:
        assert is_problem(client.get("/events"), 401)


def test_a_supervisor_needs_no_key(guarded: Service) -> None:
    with guarded.client() as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert set(client.get("/ready").json()["checks"]) == {"endpoint", "store", "watch"}


def test_an_expired_key_is_refused(guarded: Service) -> None:
    with guarded.client(key=key(guarded, expires_utc="2026-01-01T00:00:00.000Z")) as client:
        assert is_problem(client.get("/events"), 401)


def test_a_key_is_refused_once_it_is_revoked(guarded: Service) -> None:
    with Store.open(guarded.store) as store:
        made = store.api_keys.add("gone", Role.ADMIN)
    with guarded.client(key=made.secret) as client:
        assert client.get("/events").status_code == 200
        assert vigil("keys", "revoke", made.id, "--store", str(guarded.store)).returncode == 0
        until(lambda: client.get("/events").status_code == 401)


def test_a_key_is_kept_as_a_digest_alone(guarded: Service, vera: str) -> None:
    with sqlite3.connect(guarded.store) as raw:
        rows = raw.execute("SELECT * FROM api_keys").fetchall()
    assert digest_of(vera) in str(rows) and vera not in str(rows)
    assert vera.encode() not in guarded.store.read_bytes()


def test_a_viewer_reads_and_changes_nothing(guarded: Service, vera: str) -> None:
    with guarded.client(key=vera) as client:
        before = client.get(f"/events/{EVENT}")
        assert before.status_code == 200
        for path in (f"/events/{EVENT}/marks", f"/events/{EVENT}/acknowledge", "/cameras/door/pause", "/cameras/test"):
            answer = client.post(path, json=MARK)
            assert is_problem(answer, 403) and "needs the role" in answer.json()["detail"], path
        assert is_problem(client.delete("/cameras/door"), 403)
        assert is_problem(client.patch("/cameras/door", json={"place": "x"}), 403)
        assert is_problem(client.get("/audit"), 403)
        assert client.get(f"/events/{EVENT}").json() == before.json()


def test_an_operator_marks_but_adds_no_camera(guarded: Service) -> None:
    with guarded.client(key=key(guarded, Role.OPERATOR)) as client:
        assert client.post("/events/e0002/marks", json=MARK).status_code == 201
        assert is_problem(client.post("/cameras", json={"address": "rtsp://127.0.0.1:9/x"}), 403)


def test_a_key_reaches_its_scopes_only(guarded: Service) -> None:
    with guarded.client(key=key(guarded, Role.ADMIN, scopes=("metrics",))) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/session").json()["scopes"] == ["metrics"]
        for path in ("/events", "/cameras", "/audit", "/live", "/questions"):
            assert is_problem(client.get(path), 403), path


def test_a_password_of_the_store_lets_a_program_in(guarded: Service) -> None:
    with guarded.client(auth=("otto", PASSWORD)) as client:
        told = client.get("/session").json()
    assert (told["name"], told["role"], told["kind"]) == ("otto", "operator", "password")


@contextmanager
def sign_in(guarded: Service, name: str = "otto") -> Iterator[httpx.Client]:
    """A page of a user who has signed in."""
    with httpx.Client(base_url=guarded.site.url, timeout=HANG_S) as client:
        assert client.post("sign-in", data={"name": name, "password": PASSWORD}).status_code == 303
        yield client


def test_a_session_changes_something_with_its_token_only(guarded: Service, vera: str) -> None:
    with sign_in(guarded) as page:
        token = page.get("api/v1/session").json()["csrf_token"]
        assert len(token) == 64
        for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "0" * 64}, {"X-CSRF-Token": "ä".encode()}):
            answer = page.post("api/v1/events/e0003/marks", json=MARK, headers=headers)
            assert is_problem(answer, 403) and answer.json()["type"].endswith(":csrf")
        with sign_in(guarded) as other:
            theirs = {"X-CSRF-Token": other.get("api/v1/session").json()["csrf_token"]}
        assert is_problem(page.post("api/v1/events/e0003/marks", json=MARK, headers=theirs), 403)
        mine = {"X-CSRF-Token": token}
        assert page.post("api/v1/events/e0003/marks", json=MARK, headers=mine).json()["who"] == "otto"


def test_another_site_changes_and_reads_nothing(guarded: Service) -> None:
    with sign_in(guarded) as page:
        mine = {"X-CSRF-Token": page.get("api/v1/session").json()["csrf_token"]}
        for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert is_problem(page.post("api/v1/events/e0003/marks", json=MARK, headers=mine | foreign), 403)
            assert is_problem(page.get("api/v1/events", headers=foreign), 403)


def test_a_session_that_somebody_else_chose_is_worth_nothing(guarded: Service) -> None:
    with sign_in(guarded) as page:
        (cookie,) = page.cookies.jar
    name = cookie.name
    with httpx.Client(base_url=guarded.site.url, cookies={name: "chosen"}, timeout=HANG_S) as victim:
        victim.post("sign-in", data={"name": "otto", "password": PASSWORD})
        held = {each.value for each in victim.cookies.jar}
    with httpx.Client(base_url=guarded.site.url, cookies={name: "chosen"}, timeout=HANG_S) as attacker:
        assert is_problem(attacker.get("api/v1/session"), 401)
    assert cookie.value not in held and held != {"chosen"}


def test_users_are_added_changed_and_removed_while_it_runs(guarded: Service) -> None:
    store = ("--store", str(guarded.store))
    told = vigil("users", "add", "nina", "--role", "viewer", "--password-file", "-", *store, said=f"{PASSWORD}\n")
    assert told.returncode == 0 and PASSWORD not in told.stdout + told.stderr
    with httpx.Client(base_url=guarded.site.url, timeout=HANG_S) as page:
        until(lambda: page.post("sign-in", data={"name": "nina", "password": PASSWORD}).status_code == 303)
        assert page.get("api/v1/session").json()["role"] == "viewer"
        assert vigil("users", "role", "nina", "operator", *store).returncode == 0
        until(lambda: page.get("api/v1/session").json()["role"] == "operator")
        assert vigil("users", "password", "nina", "--password-file", "-", *store, said="another one\n").returncode == 0
        until(lambda: page.get("api/v1/session").status_code == 401)
        assert page.post("sign-in", data={"name": "nina", "password": "another one"}).status_code == 303
        assert vigil("users", "remove", "nina", *store).returncode == 0
        until(lambda: page.get("api/v1/session").status_code == 401)
        assert page.post("sign-in", data={"name": "nina", "password": "another one"}).status_code == 401
    assert "nina" not in vigil("users", "list", *store).stdout


def test_every_act_stands_in_the_audit_table(guarded: Service) -> None:
    with guarded.client(key=key(guarded, Role.OPERATOR)) as client:
        assert client.post("/events/e0004/acknowledge").status_code == 200
    with guarded.client(key=key(guarded, Role.ADMIN)) as admin:

        def acts() -> list[tuple[str, str]]:
            told = admin.get("/audit", params={"limit": 200}).json()["entries"]
            return [(each["act"], each["details"].get("event", "")) for each in told]

        until(lambda: ("acknowledge an event", "e0004") in acts())
        entry = next(each for each in admin.get("/audit").json()["entries"] if each["details"].get("event") == "e0004")
    assert entry["who"].startswith("key test (key_") and entry["address"] == "127.0.0.1"


def guesses_since(began_s: float) -> float:
    """The most passwords that one address can have had looked at; a slow host leaves it more time."""
    return PER_ADDRESS.burst + (time.monotonic() - began_s) / PER_ADDRESS.every_s + 1


def test_ten_thousand_guesses_are_cut_short(guarded: Service) -> None:
    """A few hundred of them; the rest would be refused the same way."""
    began_s = time.monotonic()
    with guarded.client() as client:
        told = [client.get("/session", auth=("ada", f"guess {number}")).status_code for number in range(100)]
        most = guesses_since(began_s)
        assert told.count(401) <= most and told.count(429) >= 100 - most
        late = client.get("/session", auth=("ada", "guess"))
    assert is_problem(late, 429) and int(late.headers["Retry-After"]) >= 1


def test_many_wrong_passwords_are_slowed_down_and_the_service_goes_on(guarded: Service) -> None:
    def attempt(number: int) -> int:
        with guarded.client(auth=("mallory", f"guess {number}")) as client:
            return client.get("/session").status_code

    began_s = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(attempt, range(80)))
    assert set(told) <= {401, 429} and told.count(429) >= 80 - guesses_since(began_s)
    with guarded.client(key=key(guarded)) as client:
        assert client.get("/session").status_code == 200
