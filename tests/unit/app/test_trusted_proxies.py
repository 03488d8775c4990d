import asyncio
from typing import Any

import pytest
from app.trusted_proxies import ForwardedHeaders, TrustedProxies, address_group

from vigil.errors import UsageError


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no address", "no address"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(address: str, group: str) -> None:
    assert address_group(address) == group


def test_a_proxy_is_named_by_an_address_or_a_network() -> None:
    trusted = TrustedProxies.of(["10.0.0.2", "192.168.7.0/24", "::1"])
    assert "10.0.0.2" in trusted and "192.168.7.200" in trusted and "::1" in trusted
    assert "::ffff:10.0.0.2" in trusted and "0:0:0:0:0:0:0:1" in trusted
    assert "10.0.0.3" not in trusted and "" not in trusted and "testclient" not in trusted
    with pytest.raises(UsageError, match="--trusted-proxy"):
        TrustedProxies.of(["proxy.example"])


def seen_behind(peer: str, trusted: tuple[str, ...], *, version: str = "1.1", **headers: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def page(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    async def nothing(*_: Any) -> Any:
        return {}

    told = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "http_version": version, "headers": told, "client": (peer, 1), "scheme": "http"}
    asyncio.run(ForwardedHeaders(page, trusted=TrustedProxies.of(trusted))(scope, nothing, nothing))
    return found


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.0.0.9", "::1"])
def test_what_anybody_else_says_of_where_a_request_comes_from_is_taken_off(peer: str) -> None:
    found = seen_behind(
        peer,
        ("10.0.0.2",),
        x_forwarded_for="1.2.3.4",
        x_forwarded_host="evil.example",
        forwarded="for=1.2.3.4",
        accept="*",
    )
    assert found["client"][0] == peer and found["scheme"] == "http"
    assert found["headers"] == [(b"accept", b"*")]
    assert found["vigil_forwarded"]


def test_a_trusted_proxy_tells_address_and_scheme_and_no_further_than_it_knows() -> None:
    found = seen_behind("10.0.0.2", ("10.0.0.2",), x_forwarded_for="6.6.6.6, 1.2.3.4", x_forwarded_proto="https")
    assert found["client"][0] == "1.2.3.4" and found["scheme"] == "https"
    chained = seen_behind("10.0.0.2", ("10.0.0.0/24",), x_forwarded_for="6.6.6.6, 1.2.3.4, 10.0.0.5")
    assert chained["client"][0] == "1.2.3.4"


def test_a_request_by_the_http_that_proxies_pass_on_is_taken_for_one_of_theirs() -> None:
    assert seen_behind("127.0.0.1", (), version="1.0", accept="*")["vigil_forwarded"]


def test_a_request_without_a_proxy_is_seen_as_one() -> None:
    assert not seen_behind("127.0.0.1", (), accept="*")["vigil_forwarded"]


@pytest.mark.parametrize(
    ("told", "host"),
    [
        ("cameras.example", b"cameras.example"),
        ("cameras.example:8443, inner.example", b"cameras.example:8443"),
        ("[2001:db8::1]:8443", b"[2001:db8::1]:8443"),
        ("", b"up:7860"),
        ("evil.example/path", b"up:7860"),
        ("a@evil.example", b"up:7860"),
    ],
)
def test_a_trusted_proxy_tells_which_host_was_asked_for(told: str, host: bytes) -> None:
    headers = {"host": "up:7860", "x_forwarded_host": told, "accept": "*"}
    found = seen_behind("10.0.0.2", ("10.0.0.2",), **headers)
    assert [value for name, value in found["headers"] if name == b"host"] == [host]
    assert dict(found["headers"]).keys() == {b"host", b"accept"}
    assert found["vigil_forwarded"]
    assert (b"host", b"up:7860") in seen_behind("10.0.0.3", ("10.0.0.2",), **headers)["headers"]
