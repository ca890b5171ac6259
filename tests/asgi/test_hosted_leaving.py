"""What a hosted application learns when nobody is there for its response, and what becomes of it."""

import asyncio
import ssl

import pytest
import trustme

from sanicish.log import logger
from tests.doubles.wire import PATIENCE, Wire, talk

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"

LEAVE = {"close": lambda wire: wire.writer.close(), "half-close": Wire.half_close, "reset": Wire.reset}
each_way = pytest.mark.parametrize("leave", list(LEAVE.values()), ids=list(LEAVE))


def only_http(function):
    """An application without lifespan."""

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        await function(scope, receive, send)

    return application


class ClientDisconnect(Exception):
    """As frameworks have one."""


async def begin(send, piece=b"begun"):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def within(awaitable):
    async with asyncio.timeout(PATIENCE):
        return await awaitable


@pytest.fixture
def outcomes(app):
    """How the exchanges of the application end, in order."""
    ends = asyncio.Queue()

    @app.signal("http.lifecycle.complete")
    async def end(outcome, **told):
        ends.put_nowait(str(outcome))

    return ends


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@each_way
async def test_a_stream_that_waits_for_something_else_is_cancelled(app, serve, outcomes, caplog, leave):
    @only_http
    async def application(scope, receive, send):
        await begin(send)
        await asyncio.Event().wait()

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"begun\r\n")
        leave(wire)
        assert await within(outcomes.get()) == "client left"
    assert errors(caplog) == []


async def test_a_stream_over_a_unix_socket_is_cancelled_too(app, tmp_path, outcomes):
    @only_http
    async def application(scope, receive, send):
        await begin(send)
        await asyncio.Event().wait()

    app.mount("/", application)
    async with await app.create_server(unix=str(tmp_path / "s"), access_log=False):
        async with Wire(str(tmp_path / "s")) as wire:
            wire.send(GET)
            await wire.until(b"begun\r\n")
        assert await within(outcomes.get()) == "client left"


async def test_a_stream_over_tls_is_cancelled_too(app, serve, outcomes):
    @only_http
    async def application(scope, receive, send):
        await begin(send)
        await asyncio.Event().wait()

    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    app.mount("/", application)
    host, port = await serve(app, ssl=context)
    reader, writer = await asyncio.open_connection(host, port, ssl=trust, server_hostname="localhost")
    writer.write(GET)
    await within(reader.readuntil(b"begun\r\n"))
    writer.close()
    assert await within(outcomes.get()) == "client left"


@each_way
async def test_a_stream_that_receives_is_told_and_not_cancelled(app, serve, outcomes, caplog, leave):
    seen = []

    @only_http
    async def application(scope, receive, send):
        await receive()
        await begin(send)
        seen.append((await receive())["type"])
        await asyncio.sleep(0)
        seen.append("cleaned up")

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"begun\r\n")
        leave(wire)
        assert await within(outcomes.get()) == "client left"
    assert seen == ["http.disconnect", "cleaned up"]
    assert errors(caplog) == []


@each_way
async def test_an_application_that_has_not_begun_its_response_is_not_cancelled(app, serve, outcomes, leave):
    begun, go_on, seen = asyncio.Event(), asyncio.Event(), []

    @only_http
    async def application(scope, receive, send):
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})
        seen.append("stored")

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await begun.wait()
        leave(wire)
        await asyncio.sleep(0.1)  # longer than a client that has ended its side is waited for
        go_on.set()
        outcome = await within(outcomes.get())
        answer = b"" if leave is Wire.reset or wire.writer.is_closing() else await wire.rest()
    assert seen == ["stored"]
    assert (outcome, answer.endswith(b"hello")) in [("client left", False), ("completed", True), ("completed", False)]


async def test_a_client_that_ended_its_side_gets_a_response_of_one_message(app, serve):
    begun, go_on = asyncio.Event(), asyncio.Event()

    @only_http
    async def application(scope, receive, send):
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        wire.half_close()
        await begun.wait()
        await asyncio.sleep(0.1)
        go_on.set()
        assert (await wire.rest()).endswith(b"hello")


@pytest.mark.parametrize("shield", [True, False])
async def test_a_shield_says_whether_the_application_is_cancelled(app, serve, outcomes, shield):
    begun, go_on, seen = asyncio.Event(), asyncio.Event(), asyncio.Queue()

    @only_http
    async def application(scope, receive, send):
        try:
            await begin(send)
            begun.set()
            await go_on.wait()
        except asyncio.CancelledError:
            seen.put_nowait("cancelled")
            raise
        seen.put_nowait("went on")

    app.mount("/", application, shield=shield)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"begun\r\n")
        await begun.wait()
        wire.reset()
    if shield:
        await asyncio.sleep(0.1)
        assert seen.empty()
        go_on.set()
    assert await within(seen.get()) == ("went on" if shield else "cancelled")
    assert await within(outcomes.get()) == "client left"


async def test_without_a_shield_an_application_is_cancelled_before_its_response(app, serve, outcomes):
    begun, seen = asyncio.Event(), asyncio.Queue()

    @only_http
    async def application(scope, receive, send):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.put_nowait("cancelled")

    app.mount("/", application, shield=False)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await begun.wait()
        wire.reset()
    assert await within(seen.get()) == "cancelled"
    assert await within(outcomes.get()) == "client left"


async def test_more_of_a_body_raises_and_its_end_does_not(app, serve, outcomes, caplog):
    begun, left, seen = asyncio.Event(), asyncio.Event(), []

    @only_http
    async def application(scope, receive, send):
        await begin(send)
        begun.set()
        await left.wait()
        try:
            await send({"type": "http.response.body", "body": b"more", "more_body": True})
        except OSError:
            seen.append("more")
        await send({"type": "http.response.body"})
        seen.append("end")

    app.mount("/", application, shield=True)

    @app.on_request
    def watch(request):
        request.on_disconnect(left.set)

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await begun.wait()
        wire.reset()
        assert await within(outcomes.get()) == "client left"
    assert seen == ["more", "end"]
    assert errors(caplog) == []


async def test_one_that_receives_can_stop_its_sender_before_that_raises(app, serve, outcomes, caplog):
    """As frameworks do: whichever of the two wakes first."""
    seen = []

    @only_http
    async def application(scope, receive, send):
        async def stream():
            try:
                await begin(send)
                while True:
                    await send({"type": "http.response.body", "body": b"more", "more_body": True})
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        sender = asyncio.create_task(stream())
        while (await receive())["type"] != "http.disconnect":
            pass
        await asyncio.sleep(0.01)
        sender.cancel()
        await asyncio.wait((sender,))

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"more")
        wire.reset()
        assert await within(outcomes.get()) == "client left"
    assert seen == ["cancelled"]
    assert errors(caplog) == []


@pytest.mark.slow
async def test_one_that_is_told_and_goes_on_all_the_same_gets_an_error(app, serve, outcomes, caplog):
    seen = []

    @only_http
    async def application(scope, receive, send):
        await receive()
        listener = asyncio.create_task(receive())
        await begin(send)
        try:
            while True:
                await send({"type": "http.response.body", "body": b"more", "more_body": True})
                await asyncio.sleep(0)
        except OSError as error:
            seen.append(str(error))
        await listener

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"more")
        wire.reset()
        assert await within(outcomes.get()) == "client left"
    assert seen == ["the client takes no more of this response"]
    assert errors(caplog) == []


@pytest.mark.parametrize("raises", [False, True])
async def test_an_application_that_was_told_may_return_or_raise(app, serve, outcomes, caplog, raises):
    begun = asyncio.Event()

    @only_http
    async def application(scope, receive, send):
        await receive()
        begun.set()
        assert (await receive())["type"] == "http.disconnect"
        if raises:
            raise ClientDisconnect("as the framework calls it")

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await begun.wait()
        wire.half_close()
        assert await within(outcomes.get()) == "client left"
    assert errors(caplog) == []


@pytest.mark.parametrize("listens", [False, True])
async def test_a_cleanup_that_fails_is_logged_once(app, serve, outcomes, caplog, listens):
    @only_http
    async def application(scope, receive, send):
        await receive()
        try:
            await begin(send)
            await (receive() if listens else asyncio.Event().wait())
        finally:
            raise KeyError("a cursor")

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"begun\r\n")
        wire.reset()
        await within(outcomes.get())
    assert caplog.text.count("KeyError: 'a cursor'") == len(errors(caplog)) == 1


async def test_background_work_that_fails_when_the_client_has_left_is_logged(app, serve, outcomes, caplog):
    @only_http
    async def application(scope, receive, send):
        await receive()
        await begin(send)
        await receive()
        await send({"type": "http.response.body"})
        raise KeyError("a mail")

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"begun\r\n")
        wire.reset()
        await within(outcomes.get())
    assert caplog.text.count("KeyError: 'a mail'") == len(errors(caplog)) == 1


async def test_what_it_raised_then_is_in_the_log_at_debug_level(app, serve, outcomes, caplog):
    caplog.set_level("DEBUG", logger.name)

    @only_http
    async def application(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        raise ClientDisconnect("as the framework calls it")

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        wire.half_close()
        assert await within(outcomes.get()) == "client left"
    assert "as the framework calls it" in caplog.text


async def test_a_cut_upload_is_no_error(app, serve, outcomes, caplog):
    begun, seen = asyncio.Event(), []

    @only_http
    async def application(scope, receive, send):
        while not seen or seen[-1]["type"] != "http.disconnect":
            seen.append(await receive())
            begun.set()
        raise ClientDisconnect("as the framework calls it")

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        await begun.wait()
        wire.writer.close()
        assert await within(outcomes.get()) == "client left"
    assert errors(caplog) == []


# Bodies that are refused


@pytest.mark.parametrize("answers", [False, True])
async def test_a_body_that_is_too_large_is_a_413_whatever_the_application_makes_of_it(app, serve, caplog, answers):
    begun, seen = asyncio.Event(), []

    @only_http
    async def application(scope, receive, send):
        while not seen or seen[-1] != "http.disconnect":
            begun.set()
            seen.append((await receive())["type"])
        if answers:
            await send({"type": "http.response.start", "status": 500})
            await send({"type": "http.response.body", "body": b"Internal Server Error"})
        raise ClientDisconnect("as the framework calls it")

    app.mount("/", application, max_body_size=5)
    async with Wire(await serve(app)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await begun.wait()
        wire.send(b"6\r\nsix456\r\n0\r\n\r\n")
        answer = await wire.answer("POST")
    assert answer.status == 413
    assert b"Internal" not in answer.body
    assert seen == ["http.disconnect"]
    assert errors(caplog) == []


async def test_a_body_that_is_too_large_cuts_a_response_that_has_begun(app, serve, outcomes):
    @only_http
    async def application(scope, receive, send):
        await begin(send)
        while (await receive())["type"] != "http.disconnect":
            pass

    app.mount("/", application, max_body_size=5)
    async with Wire(await serve(app)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await wire.until(b"begun\r\n")
        wire.send(b"6\r\nsix456\r\n0\r\n\r\n")
        assert await wire.rest() == b""
    assert await within(outcomes.get()) == "failed"


# Timeouts and stops


@pytest.mark.parametrize("whole", [False, True])
async def test_what_an_application_sends_after_a_timeout_completes_nothing(app, serve, outcomes, whole):
    """It is informed before it is cancelled, so that it can end the tasks that it has made."""
    seen = asyncio.Queue()

    @only_http
    async def application(scope, receive, send):
        await receive()
        if not whole:
            await begin(send)
        seen.put_nowait((await receive())["type"])
        if whole:
            await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"end"})
        seen.put_nowait("returned")

    app.mount("/", application, timeout=0.05, idle_timeout=0.05)
    answer = await talk(await serve(app), GET)
    assert b"end" not in answer
    assert answer.startswith(b"HTTP/1.1 503 ") if whole else answer.endswith(b"\r\nbegun\r\n")
    assert [await within(seen.get()) for _ in range(2)] == ["http.disconnect", "returned"]
    assert await within(outcomes.get()) == ("completed" if whole else "timed out")


@pytest.mark.slow
async def test_an_application_that_is_informed_of_a_timeout_and_goes_on_is_cancelled(app, serve, outcomes):
    seen = asyncio.Queue()

    @only_http
    async def application(scope, receive, send):
        await receive()
        listener = asyncio.create_task(receive())
        await begin(send)
        try:
            await asyncio.Event().wait()
        finally:
            seen.put_nowait((await listener)["type"])

    app.mount("/", application, idle_timeout=0.05)
    await talk(await serve(app), GET)
    assert await within(seen.get()) == "http.disconnect"
    assert await within(outcomes.get()) == "timed out"


# HEAD


async def test_head_of_a_stream_is_no_error(app, serve, outcomes, caplog):
    @only_http
    async def application(scope, receive, send):
        await begin(send)
        await send({"type": "http.response.body", "body": b"more", "more_body": True})
        await send({"type": "http.response.body"})

    app.mount("/", application)
    answer = await talk(await serve(app), b"HEAD / HTTP/1.1\r\n" + CLOSE)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert await within(outcomes.get()) == "completed"
    assert errors(caplog) == []


async def test_head_of_a_stream_of_one_piece_raises_nowhere(app, serve):
    done = asyncio.Event()

    @only_http
    async def application(scope, receive, send):
        await begin(send)
        await send({"type": "http.response.body"})
        with pytest.raises(RuntimeError, match="after the response was complete"):
            await send({"type": "http.response.body"})
        done.set()

    app.mount("/", application)
    await talk(await serve(app), b"HEAD / HTTP/1.1\r\n" + CLOSE)
    await within(done.wait())


async def test_head_of_a_stream_that_receives_is_told(app, serve, caplog):
    seen = asyncio.Queue()

    @only_http
    async def application(scope, receive, send):
        await receive()
        listener = asyncio.create_task(receive())
        await begin(send)
        seen.put_nowait((await listener)["type"])

    app.mount("/", application)
    await talk(await serve(app), b"HEAD / HTTP/1.1\r\n" + CLOSE)
    assert await within(seen.get()) == "http.disconnect"
    assert errors(caplog) == []


@pytest.mark.slow
async def test_head_of_a_stream_that_waits_for_something_else_is_cancelled(app, serve, caplog):
    seen = asyncio.Queue()

    @only_http
    async def application(scope, receive, send):
        await begin(send)
        try:
            await asyncio.Event().wait()
        finally:
            seen.put_nowait("ended")

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        for _ in range(2):  # on one connection
            wire.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            await wire.until(b"\r\n\r\n")
            assert await within(seen.get()) == "ended"
    assert errors(caplog) == []


# The version of ASGI


async def versions(app, serve, request, **options):
    seen = []

    @only_http
    async def application(scope, receive, send):
        seen.append(scope["asgi"]["spec_version"])
        while (await receive())["more_body"]:
            seen.append(scope["asgi"]["spec_version"])
        seen.append(scope["asgi"]["spec_version"])
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    app.mount("/", application, **options)
    await talk(await serve(app), request)
    return seen


POST = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"


@pytest.mark.parametrize(
    ("request_", "seen"), [(b"GET / HTTP/1.1\r\n" + CLOSE, ["2.3", "2.3"]), (POST, ["2.4", "2.3"])]
)
async def test_a_framework_is_asked_to_listen_once_that_takes_no_body_from_anybody(app, serve, request_, seen):
    assert await versions(app, serve, request_) == seen


async def test_a_mount_says_which_version_it_announces(app, serve):
    assert await versions(app, serve, POST, spec_version="2.5") == ["2.5", "2.5"]


def test_a_version_that_is_none_is_refused(app):
    with pytest.raises(ValueError, match="not 'new'"):
        app.mount("/", only_http(None), spec_version="new")
