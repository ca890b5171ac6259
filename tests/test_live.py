"""The live view: who may see it, and what it is sent."""

import asyncio
import json
import os
import time
from types import SimpleNamespace

import pytest

from sanicish.exceptions import Unauthorized
from sanicish.live import _Board, _is_local, live_view
from tests.doubles.wire import Wire

PAGE = b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


async def ask(address, request):
    async with Wire(address) as wire:
        wire.send(request + b"\r\n")
        return await wire.answer()


async def events(wire, count):
    """The looks that are sent on a connection."""
    found = []
    while len(found) < count:
        found += [
            json.loads(line[6:]) for line in (await wire.until(b"\n\n")).splitlines() if line.startswith(b"data: ")
        ]
    return found


async def test_the_page_may_run_nothing_but_its_own_script(app, serve):
    app.blueprint(live_view())
    answer = await ask(await serve(app), PAGE)
    assert answer.status == 200 and b"</html>" in answer.body
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy


async def test_its_events_tell_what_is_open(app, serve):
    app.blueprint(live_view("/admin/streams"))
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET /admin/streams/events HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n")
        (look,) = await events(wire, 1)
    assert look["app"] == "test"
    (worker,) = look["workers"]
    assert (worker["pid"], worker["connections"], worker["open"]) == (os.getpid(), 1, 1)
    assert worker["streams"][0]["path"] == "/admin/streams/events"


async def test_a_server_that_stops_does_not_wait_for_those_who_look(app):
    app.blueprint(live_view())
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 60
    server = await app.create_server(port=0, access_log=False)
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(PAGE.replace(b"/live", b"/live/events") + b"\r\n")
        await events(wire, 1)
        server.close()
        async with asyncio.timeout(10):
            await server.wait_closed()


# Who may see it


@pytest.mark.parametrize(
    "more", [b"X-Forwarded-For: 127.0.0.1\r\n", b"Forwarded: for=1.2.3.4\r\n", b"X-Real-IP: 1.2.3.4\r\n"]
)
async def test_what_a_proxy_has_passed_on_is_refused(app, serve, more):
    app.blueprint(live_view())
    assert (await ask(await serve(app), PAGE + more)).status == 403


async def test_its_events_are_refused_like_the_page(app, serve):
    app.blueprint(live_view())
    request = PAGE.replace(b"/live", b"/live/events").replace(b"localhost", b"shop.example")
    assert (await ask(await serve(app), request)).status == 403


@pytest.mark.parametrize(
    ("ip", "host", "local"),
    [
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "localhost:8000", True),
        ("127.8.0.1", "127.0.0.1:8000", True),
        ("::1", "[::1]:8000", True),
        ("::1", "[::1]", True),
        ("::ffff:127.0.0.1", "localhost", True),
        ("10.0.0.1", "localhost", False),
        ("::ffff:10.0.0.1", "localhost", False),
        ("127.0.0.1", "shop.example", False),
        ("127.0.0.1", "localhost.shop.example", False),
        ("127.0.0.1", "", False),
        ("", "localhost", False),
    ],
)
def test_only_peers_on_this_machine_that_ask_for_it_are_local(ip, host, local):
    assert _is_local(SimpleNamespace(ip=ip, headers={"host": host})) is local


async def async_check(request):
    return request.token == "secret"


@pytest.mark.parametrize("check", [lambda request: request.token == "secret", async_check])
async def test_a_check_of_ones_own_replaces_ours(app, serve, check):
    app.blueprint(live_view(allow=check))
    address = await serve(app)
    assert (await ask(address, PAGE)).status == 403
    request = PAGE.replace(b"localhost", b"shop.example") + b"Authorization: Bearer secret\r\n"
    assert (await ask(address, request)).status == 200


async def test_a_check_may_ask_for_a_password(app, serve):
    def check(request):
        raise Unauthorized("who is there?", scheme="Basic", realm="live")

    app.blueprint(live_view(allow=check))
    answer = await ask(await serve(app), PAGE)
    assert answer.status == 401 and answer.headers["www-authenticate"] == 'Basic realm="live"'


async def test_the_check_is_for_the_view_only(app, serve):
    app.blueprint(live_view(allow=lambda request: False))
    app.get("/")(lambda request: "a")
    assert (await ask(await serve(app), PAGE.replace(b"/live", b"/"))).status == 200


# What workers show each other


@pytest.fixture
def boards(tmp_path):
    """Those of two processes."""
    ours, theirs = _Board(str(tmp_path)), _Board(str(tmp_path))
    theirs._own = "1.json"
    return ours, theirs


def test_a_worker_sees_what_others_show(boards):
    ours, theirs = boards
    ours.show({"pid": 2})
    theirs.show({"pid": 1})
    assert list(ours.others()) == [{"pid": 1}]


def test_nobody_shows_anything_unless_somebody_looks(boards, tmp_path):
    ours, theirs = boards
    assert not theirs.is_watched
    ours.watch()
    assert theirs.is_watched
    os.utime(tmp_path / "watched", times=(0, time.time() - 5))
    assert not theirs.is_watched


def test_what_a_dead_worker_has_left_is_thrown_away(boards, tmp_path):
    ours, theirs = boards
    theirs.show({"pid": 1})
    os.utime(tmp_path / "1.json", times=(0, time.time() - 5))
    assert list(ours.others()) == [] and not (tmp_path / "1.json").exists()


def test_a_board_that_is_gone_is_no_error(boards, tmp_path):
    ours, _ = boards
    tmp_path.rmdir()
    ours.watch()
    ours.show({})
    assert list(ours.others()) == [] and not ours.is_watched


def test_without_a_folder_there_are_no_others():
    board = _Board(None)
    board.watch()
    board.show({})
    assert list(board.others()) == [] and not board.is_watched
