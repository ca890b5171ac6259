"""Secrets on error pages: masked by name, in pairs, in URLs, and wherever the request's own credentials appear."""

import time
from collections import namedtuple

import pytest

from sanicish.debug.masks import Mask
from sanicish.headers import Headers

DOTS = "\u2022" * 8
Pair = namedtuple("Pair", "name value")


class Settings:
    def __repr__(self):
        return "Settings(host='db', password='hunter2', api_key=\"hunter2\", port=1)"


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "Proxy-Authorization", "COOKIE", "x-api-key", "x-auth-token", "x-csrf", "session-id", "DSN"),
        *("key", "stripe_key", "SECRET_KEY", "aws-access-key", "auth", "basic_auth", "passphrase", "jwt", "sid", "otp"),
    ],
)
def test_value_is_masked_by_its_name(name):
    assert Mask().fields([(name, "hunter2")]) == [(name, DOTS)]


@pytest.mark.parametrize("name", ["accept", "keys", "monkeys", "author", "pinned", "compass", "residual", "host"])
def test_other_values_are_shown(name):
    assert Mask().fields([(name, "shown")]) == [(name, "shown")]


@pytest.mark.parametrize(
    "value",
    [
        [(b"host", b"a"), (b"authorization", b"hunter2")],
        ((b"cookie", b"id=hunter2"),),
        [["X-Api-Key", "hunter2"]],
        ("password", "hunter2"),
        Pair("password", "hunter2"),
        {"a": [("token", "hunter2")]},
        {"api_key": "hunter2"},
        {b"authorization": b"hunter2"},
        {"deep": {"er": {"session": ["hunter2"]}}},
        Headers([("Authorization", "hunter2")]),
        Settings(),
        [Settings()],
        "https://a.example/x?y=1&access_token=hunter2&z=2",
        b"GET /x?token=hunter2 HTTP/1.1",
        "postgresql://postgres:hunter2@db.example/shop?sslmode=disable",
        "amqp://user:hun@ter2hunter2@mq",
        "https://ghp_hunter2@github.com/a/b",
        "redis://:hunter2@cache:6379/0",
        "host=db user=shop password=hunter2 dbname=shop",
        "dsn: 'host=db password=hunter2'",
        "conninfo='host=db password=hunter2'",
        '{"user": "a", "password": "hunter2"}',
        "{'user': 'a', 'client_secret': 'hunter2'}",
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic hunter2\r\nCookie: a=hunter2; b=hunter2\r\n\r\n",
        "Bearer hunter2",
        "a" * 150 + "?token=" + "x" * 300 + "hunter2",
        "postgres://u:" + "x" * 190 + "hunter2@db",
    ],
)
def test_secret_in_a_value_is_masked(value):
    said = Mask().value(value)
    assert "hunter2" not in said and "\u2022" in said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("postgresql://shop:hunter2@db/shop", f"'postgresql://shop:{DOTS}@db/shop'"),
        ("https://a.example:8000/x?key=hunter2&page=2", f"'https://a.example:8000/x?key={DOTS}&page=2'"),
        ([(b"host", b"a"), (b"cookie", b"b")], f"[(b'host', b'a'), (b'cookie', {DOTS})]"),
        (b"\xff\x00", r"b'\xff\x00'"),
        (b"x" * 300, f"b'{'x' * 200}'... (300 bytes)"),
        ("a key: value", "'a key: " + DOTS + "'"),
        ("mail a@b.example about it", "'mail a@b.example about it'"),
        ({"page": 2, "names": ["a"]}, "{'names': ['a'], 'page': 2}"),
    ],
)
def test_the_rest_of_a_value_is_shown(value, said):
    assert Mask().value(value) == said


def test_text_of_a_page_keeps_what_only_looks_like_a_secret():
    text = "the token: expected 3; key=value in a call(password=password)"
    assert Mask().text(text) == text


def test_text_of_a_page_has_no_secrets_of_urls():
    text = "401 for url 'https://u:hunter2@a.example/x?api_key=hunter2' and wss://b/?x=1;sig=hunter2"
    assert Mask().text(text) == (
        f"401 for url 'https://u:{DOTS}@a.example/x?api_key={DOTS}' and wss://b/?x=1;sig={DOTS}"
    )


def test_credentials_of_the_request_are_masked_wherever_they_appear():
    mask = Mask(
        [
            ("authorization", "Token t-o-k-e-n"),
            ("cookie", "id=0123456789abcdef; theme=default"),
            ("x-api-key", "k-e-y-1"),
            ("accept", "text/html"),
        ],
        "GET /x?a=1&reset_token=r%2Fe-s-e-t HTTP/1.1",
    )
    for secret in ("t-o-k-e-n", "0123456789abcdef", "k-e-y-1", "r%2Fe-s-e-t", "r/e-s-e-t"):
        assert mask.text(f"no user has {secret} here") == f"no user has {DOTS} here"
        assert mask.value(["x", secret]) == f"['x', '{DOTS}']"
        assert mask.value(f"x {secret}".encode()) == f"b'x {DOTS}'"
    assert mask.text("default text/html") == "default text/html"
    assert mask.text("GET /x?a=1&reset_token=r%2Fe-s-e-t HTTP/1.1") == f"GET /x?a=1&reset_token={DOTS} HTTP/1.1"


def test_token_of_a_known_form_is_masked_in_any_text():
    assert Mask().text("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_ here") == f"got {DOTS} here"


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a=",
        "token",
        "://",
        "a://b:",
        '"',
        "='",
        "key: ",
        "?a",
        "&key=",
        "eyJa.",
        "\n",
        " ",
        "a" * 60 + " ",
        "-a",
        "[%",
    ],
)
def test_masking_takes_time_in_proportion(piece):
    started = time.perf_counter()
    Mask().value(piece * (200_000 // len(piece)))
    Mask().text(piece * (200_000 // len(piece)))
    assert time.perf_counter() - started < 5


def test_object_whose_repr_fails_is_named():
    class Sour:
        def __repr__(self):
            raise RuntimeError("sour")

    assert "Sour instance at 0x" in Mask().value(Sour())
