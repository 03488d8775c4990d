import pytest
from app.web.address_group import address_group, is_one_of


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_an_address_counts_by_itself_and_in_ipv6_by_its_network(address: str, group: str) -> None:
    assert address_group(address) == group


def test_an_address_is_known_however_it_is_written() -> None:
    assert is_one_of("::ffff:10.0.0.7", frozenset({"10.0.0.7"}))
    assert is_one_of("0:0:0:0:0:0:0:1", frozenset({"::1"}))
    assert not is_one_of("10.0.0.8", frozenset({"10.0.0.7"}))
    assert not is_one_of("", frozenset())
