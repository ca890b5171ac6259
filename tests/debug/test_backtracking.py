"""Expressions that can take exponential time are known, and those that cannot are left in peace."""

import re
import time

import pytest

from sanicish.debug import backtracking
from sanicish.debug.backtracking import is_exponential

EXPONENTIAL = [
    r"(a+)+",
    r"(a*)*",
    r"(a|a)*",
    r"(.*)*x",
    r"([a-z]+\.?)+",
    r"(\w+\s*)+",
    r"(a?b?)*",
    r"(?:[a-z0-9-]+)*\.html",
    r"(\d+|\w+)*",
    r"(a|ab|b)*x",
    r"((?:ab)+)+",
    r"(?:\w+,?)+",
    r"((a+){2,})",
    r"(?P<x>(?:x+x+)+)y",
    r"([^/]+/?)*",
    r"(\w*-?){1,100}",
    r"(?:.*,){11}P",
    r"(?:(?:a+)?b?)+?",
]

HARMLESS = [
    r"[a-z0-9]+(?:-[a-z0-9]+)*",
    r"[^/]+",
    r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)",
    r"[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}",
    r".*",
    r"(\d+,)*\d+",
    r"(?:a|b)*",
    r"[A-Za-z0-9_-][A-Za-z0-9_.-]*",
    r"(a{1,3}){2,5}",
    r"(?:[^/]+/)*[^/]+",
    r"(?:a++)+",
    r"(?>a+)+",
    r"(?:(?:a+)++)+",
    r"[a-z]+(\.[a-z]+)*\.html",
    r"(\w+)\1",
    r"(?=a+)+b",
    r"\w{1,50}",
    r"(foo|bar)+",
    r"([a-z]+[0-9])+",
    r"(?:<[a-z]+>)*",
    r"(?:\W\w+)*",
    r"(?:[^a]a+)*",
]


@pytest.mark.parametrize("pattern", EXPONENTIAL)
def test_expression_that_matches_in_more_and_more_ways_is_exponential(pattern):
    assert is_exponential(pattern)


@pytest.mark.parametrize("pattern", HARMLESS)
def test_other_expressions_are_not(pattern):
    re.compile(pattern)
    assert not is_exponential(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-z]*" * 99,
        "(?:" + "|".join(f"[a-{c}]x" for c in "bcdefghijklmnopqrstuvwxyz") + ")*",
        "a" * 5_000,
        "(" * 90 + ")" * 90,
        "(",
    ],
)
def test_it_is_told_soon_or_given_up(pattern):
    started = time.perf_counter()
    is_exponential(pattern)
    assert time.perf_counter() - started < 2


def test_another_parser_of_python_is_no_error(monkeypatch):
    monkeypatch.setattr(backtracking, "_parser", None)
    assert is_exponential("(a+)+") is False


@pytest.mark.parametrize("path", ["/<x:(a+)+>", "/x/<y:int>/<x:(?:[a-z]+-?)*>.html"])
def test_route_is_told_when_it_is_registered_once(app, caplog, path):
    app.route(path, methods=["GET", "POST"])(lambda request, **values: "a")
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.message.startswith(f"the path {path} can take exponential time for some requests")


def test_types_of_paths_are_harmless(app, caplog):
    for kind in ("str", "strorempty", "int", "float", "alpha", "slug", "path", "uuid", "ymd", r"[a-z]+\.(?:jpe?g|png)"):
        app.get(f"/{len(caplog.records)}/<a:{kind}>/x/<b:{kind}>-<c:int>")(lambda request, **values: "a")
    assert caplog.records == []


def test_pattern_of_static_files_is_told(app, caplog, tmp_path):
    app.static("/s", tmp_path, pattern=r"(?:\w+/?)+")
    [record] = caplog.records
    assert record.message.startswith(r"the pattern (?:\w+/?)+ of static files at /s can take exponential time")
