"""How many connections there may be, in all and of one client."""

import pytest

from sanicish.exceptions import SanicException, ServiceUnavailable
from sanicish.server.places import Places


def refused(places, address):
    """The status that a connection of this client is refused with."""
    with pytest.raises(SanicException) as raised:
        places.take(address)
    return raised.value.status_code


def test_without_limits_there_is_always_a_place():
    places = Places(None, None)
    assert {places.take("192.0.2.1") for _ in range(1000)} == {""}


def test_places_are_limited_in_all():
    places = Places(2, None)
    held = [places.take(f"192.0.2.{number}") for number in range(2)]
    with pytest.raises(ServiceUnavailable):
        places.take("192.0.2.3")
    places.leave(held[0])
    places.take("192.0.2.3")


def test_places_are_limited_for_each_client():
    places = Places(None, 2)
    held = [places.take("192.0.2.1") for _ in range(2)]
    assert refused(places, "192.0.2.1") == 429
    places.take("192.0.2.2")
    places.leave(held[0])
    places.take("192.0.2.1")


def test_what_is_refused_takes_no_place():
    places = Places(3, 1)
    held = places.take("192.0.2.1")
    for _ in range(5):
        assert refused(places, "192.0.2.1") == 429
    places.leave(held)
    assert [places.take(f"192.0.2.{number}") for number in range(3)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("[2001:db8::1]", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("_hidden", "_other", False),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(one, other, same):
    places = Places(None, 1)
    places.take(one)
    if same:
        assert refused(places, other) == 429
    else:
        places.take(other)


def test_clients_without_an_address_are_not_counted():
    places = Places(None, 1)
    assert [places.take("") for _ in range(3)] == ["", "", ""]


def test_only_so_many_are_told_that_there_is_no_place_at_a_time():
    places = Places(0, None)
    assert sum(places.refuse() for _ in range(1000)) == 100
    places.refused()
    assert places.refuse() and not places.refuse()
