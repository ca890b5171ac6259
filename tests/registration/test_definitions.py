"""What an application can be told, as data."""

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from sanicish.registration.definitions import ErrorDef, ListenerDef, MiddlewareDef, RouteDef, StaticDef

ALL = [
    RouteDef(print, "/a", frozenset({"GET"}), "a"),
    StaticDef("/s", Path("/srv"), "static"),
    MiddlewareDef(print, "request"),
    ListenerDef(print, "before_server_start"),
    ErrorDef(print, (ValueError,)),
]


@pytest.mark.parametrize("definition", ALL, ids=lambda one: type(one).__name__)
def test_definition_never_changes(definition):
    with pytest.raises(FrozenInstanceError):
        setattr(definition, type(definition).__slots__[0], None)


def test_definition_may_be_copied_with_a_change():
    assert replace(ALL[0], uri="/b") == RouteDef(print, "/b", frozenset({"GET"}), "a")


def test_options_of_two_routes_are_not_shared():
    one, two = (RouteDef(print, "/a", frozenset({"GET"}), "a") for _ in range(2))
    assert one.options == two.options
    assert one.options.ctx is not two.options.ctx
