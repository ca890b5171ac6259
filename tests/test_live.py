"""The live view: who may see it, and what it is sent."""

import asyncio
import json
import logging
import os
import secrets
import time
from types import SimpleNamespace

import pytest

from sanicish.exceptions import Unauthorized
from sanicish.live.view import _address, _Board, _is_local, live_view
from tests.doubles.wire import Wire

BARE = b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
PAGE = BARE + b"Authorization: Bearer the-token\r\n"


@pytest.fixture
def known(monkeypatch):
    """The token of a server that is started now."""
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: "the-token")


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


@pytest.mark.usefixtures("known")
async def test_the_page_may_run_nothing_but_its_own_script(app, serve):
    app.blueprint(live_view())
    answer = await ask(await serve(app), PAGE)
    assert answer.status == 200 and b"</html>" in answer.body
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy


@pytest.mark.usefixtures("known")
async def test_its_events_tell_what_is_open(app, serve):
    app.blueprint(live_view("/admin/streams"))
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET /admin/streams/events?token=the-token HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n")
        (look,) = await events(wire, 1)
    assert look["app"] == "test"
    (worker,) = look["workers"]
    assert (worker["pid"], worker["connections"], worker["open"]) == (os.getpid(), 1, 1)
    assert worker["streams"][0]["path"] == "/admin/streams/events?token=the-token"


@pytest.mark.usefixtures("known")
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


async def test_peer_on_this_machine_may_be_a_proxy_that_says_nothing(app, serve):
    app.blueprint(live_view())
    address = await serve(app)
    for path in (b"/live", b"/live/events"):
        answer = await ask(address, BARE.replace(b"/live", path))
        assert answer.status == 403 and b"token of this server, which is in the log" in answer.body


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("given", ["", "the-toke", "the-token2", "%C3%A9"])
async def test_another_token_is_refused(app, serve, given):
    app.blueprint(live_view())
    address = await serve(app)
    request = BARE.replace(b"/live", b"/live?token=" + given.encode())
    for more in (b"", b"Authorization: Bearer other\r\n", b"Cookie: live_=the-token; token=the-token\r\n"):
        assert (await ask(address, request + more)).status == 403


async def test_address_in_the_log_gives_a_cookie_for_the_page_and_its_events(app, serve, caplog):
    caplog.set_level(logging.INFO)
    app.blueprint(live_view("/admin/live"))
    host, port = await serve(app)
    [line] = [record.message for record in caplog.records if "live view" in record.message]
    assert line.startswith(f"live view on http://{host}:{port}/admin/live?token=")
    target = line.partition(str(port))[2].encode()
    answer = await ask((host, port), BARE.replace(b"/live", target))
    assert (answer.status, answer.headers["location"]) == (302, "/admin/live")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert {"Path=/admin/live", "HttpOnly", "SameSite=Lax"} == set(attributes)
    answer = await ask((host, port), BARE.replace(b"/live", b"/admin/live") + f"Cookie: {cookie}\r\n".encode())
    assert answer.status == 200
    async with Wire((host, port)) as wire:
        wire.send(BARE.replace(b"/live", b"/admin/live/events") + f"Cookie: {cookie}\r\n\r\n".encode())
        await events(wire, 1)


async def test_tokens_are_long_and_new_for_each_server(app, serve, caplog):
    caplog.set_level(logging.INFO)
    app.blueprint(live_view())
    await serve(app)
    await serve(app)
    first, second = (
        record.message.partition("token=")[2] for record in caplog.records if "live view" in record.message
    )
    assert first != second and len(first) == len(second) == 22


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("http://0.0.0.0:8000", "http://127.0.0.1:8000/live"),
        ("https://[::]:8000", "https://[::1]:8000/live"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/live"),
        ("unix:/run/s.sock", "/live"),
        ("", "/live"),
    ],
)
def test_address_is_one_that_this_machine_can_open(location, told):
    assert _address(SimpleNamespace(url_for=lambda name: "/live", serve_location=location), "live.page") == told


@pytest.mark.parametrize(
    "more", [b"X-Forwarded-For: 127.0.0.1\r\n", b"Forwarded: for=1.2.3.4\r\n", b"X-Real-IP: 1.2.3.4\r\n"]
)
@pytest.mark.usefixtures("known")
async def test_what_a_proxy_has_passed_on_is_refused(app, serve, more):
    app.blueprint(live_view())
    assert (await ask(await serve(app), PAGE + more)).status == 403


@pytest.mark.usefixtures("known")
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
    request = BARE.replace(b"localhost", b"shop.example") + b"Authorization: Bearer secret\r\n"
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


def test_workers_share_a_token_that_one_of_them_tells(boards):
    ours, theirs = boards
    ours.make_token()
    assert _Board(str(ours._path)).token == ours.token != ""
    assert (ours.is_first("live"), theirs.is_first("live"), theirs.is_first("other")) == (True, False, True)


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
