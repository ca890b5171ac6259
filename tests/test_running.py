"""An application being served: inside a loop of the caller's, or by ``run`` in a thread."""

import asyncio
import http.client
import logging
import os
import re
import socket
import ssl
import threading
from contextvars import ContextVar

import pytest
import trustme

from sanicish.exceptions import SanicException
from sanicish.log import error_logger, logger
from sanicish.response import stream, text
from sanicish.server import AsyncioServer, HttpProtocol
from tests.doubles.wire import Wire, talk

CLOSING = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def app(app):
    """One route, and short patience at the end."""
    app.get("/a")(lambda request: text("a"))
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0.1
    return app


async def close(server):
    server.close()
    await server.wait_closed()


# create_server


async def test_server_listens_on_a_free_port_and_tells_it(app):
    server = await app.create_server("127.0.0.1", 0, access_log=False)
    assert isinstance(server, AsyncioServer)
    assert server.port == server.sockets[0].getsockname()[1] > 0
    assert (await talk(("127.0.0.1", server.port), CLOSING)).endswith(b"\r\n\r\na")
    await close(server)


@pytest.mark.parametrize("returned", [True, False])
async def test_server_is_returned_whatever_is_asked(app, returned):
    server = await app.create_server(port=0, return_asyncio_server=returned)
    assert server.is_serving()
    await close(server)
    assert not server.is_serving()


async def test_server_may_be_started_later(app):
    heard = []
    app.before_server_start(lambda app: heard.append("start"))
    server = await app.create_server(port=0, asyncio_server_kwargs={"start_serving": False})
    assert not server.is_serving() and not heard and not server.sockets
    await server.startup()
    await server.start_serving()
    assert server.is_serving() and heard == ["start"]
    await close(server)


async def test_options_of_the_loop_are_passed_on(app):
    server = await app.create_server(port=0, asyncio_server_kwargs={"reuse_port": True})
    assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    await close(server)


async def test_connections_of_the_server_are_known(app):
    server = await app.create_server(port=0, access_log=False)
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.answer()
        assert len(server.connections) == 1
    await close(server)
    assert not server.connections


async def test_listeners_run_in_the_order_of_the_life_of_a_server(app):
    order = []
    for event in ("before_server_start", "after_server_start", "before_server_stop", "after_server_stop"):
        app.register_listener(
            lambda app, loop, event=event: order.append((event, app.is_running, app.is_stopping)), event
        )
    server = await app.create_server(port=0)
    await close(server)
    assert order == [
        ("before_server_start", True, False),
        ("after_server_start", True, False),
        ("before_server_stop", True, True),
        ("after_server_stop", True, True),
    ]
    assert not app.is_running


async def test_loop_of_a_running_application_is_known(app):
    server = await app.create_server(port=0)
    assert app.loop is asyncio.get_running_loop()
    await close(server)


async def test_nothing_is_accepted_before_the_first_listeners_are_done(app):
    seen = []
    app.before_server_start(lambda app: seen.append(server.sockets))
    app.after_server_start(lambda app: seen.append(len(server.sockets)))
    server = await app.create_server(port=0, asyncio_server_kwargs={"start_serving": False})
    await server.start_serving()
    assert seen == [(), 1]
    await close(server)


async def test_serving_for_ever_ends_when_the_application_is_stopped(app):
    server = await app.create_server(port=0)
    serving = asyncio.ensure_future(server.serve_forever())
    app.stop()
    await asyncio.wait_for(serving, 5)
    assert not server.is_serving()


async def test_application_that_is_stopped_stops_all_its_servers(app):
    servers = [await app.create_server(port=0, access_log=False) for _ in range(2)]
    app.stop()
    async with asyncio.timeout(5):
        for server in servers:
            await server.wait_closed()
    assert not any(server.is_serving() for server in servers)


async def test_handler_may_stop_the_server_of_its_application(app):
    @app.get("/stop")
    async def stop(request):
        app.stop()
        return text("stopping")

    server = await app.create_server(port=0, access_log=False)
    assert (await talk(("127.0.0.1", server.port), CLOSING.replace(b"/a", b"/stop"))).endswith(b"\r\n\r\nstopping")
    async with asyncio.timeout(5):
        await server.wait_closed()
    assert not app.is_running


def test_a_loop_that_runs_for_ever_may_be_stopped_with_the_application(app):
    """As the page on porting says."""
    app.after_server_stop(lambda app, loop: loop.stop())

    async def serve():
        app.loop.call_soon(app.stop) if await app.create_server(port=0) else None

    loop = asyncio.new_event_loop()
    serving = loop.create_task(serve())
    loop.run_forever()
    assert serving.done() and not app.is_running
    loop.close()


@pytest.mark.parametrize("said", [True, False])
async def test_the_access_log_that_is_asked_for_is_the_setting(app, said):
    app.config.ACCESS_LOG = not said
    await close(await app.create_server(port=0, access_log=said))
    assert app.config.ACCESS_LOG is said
    app.config.ACCESS_LOG = not said
    app.after_server_start(lambda app: app.stop())
    await asyncio.to_thread(app.run, port=0, access_log=said, register_sys_signals=False, motd=False)
    assert app.config.ACCESS_LOG is said


async def test_server_is_a_context(app):
    async with await app.create_server(port=0, asyncio_server_kwargs={"start_serving": False}) as server:
        assert server.is_serving()
    assert not server.is_serving()


async def test_application_may_be_served_again(app):
    for _ in range(2):
        server = await app.create_server(port=0, access_log=False)
        assert (await talk(("127.0.0.1", server.port), CLOSING)).endswith(b"\r\n\r\na")
        await close(server)


async def test_address_that_is_taken_is_an_error_and_what_was_started_is_stopped(app):
    order = []
    app.before_server_start(lambda app: order.append("start"))
    app.after_server_stop(lambda app: order.append("stop"))

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            order.append("task")

    app.add_task(work)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="address already in use"),
    ):
        await app.create_server(port=taken.getsockname()[1])
    assert order[0] == "start" and order[-1] == "stop"
    assert not app.is_running


async def test_listener_that_fails_after_the_start_closes_the_port(app):
    ports = []

    @app.after_server_start
    async def fail(app):
        ports.append(server.port)
        raise ValueError

    server = await app.create_server(port=0, asyncio_server_kwargs={"start_serving": False})
    with pytest.raises(ValueError):
        await server.start_serving()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", ports[0])


async def test_protocol_may_be_your_own(app):
    made = []

    class Own(HttpProtocol):
        def connection_made(self, transport):
            made.append(type(self))
            super().connection_made(transport)

    server = await app.create_server(port=0, protocol=Own, access_log=False)
    await talk(("127.0.0.1", server.port), CLOSING)
    await close(server)
    assert made == [Own]


async def test_debug_is_kept(app):
    server = await app.create_server(port=0, debug=True)
    assert app.debug
    await close(server)


# Where it listens


async def test_given_socket_is_listened_on(app):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    address = sock.getsockname()
    server = await app.create_server(sock=sock, access_log=False)
    assert server.sockets[0].getsockname() == address
    assert (await talk(address, CLOSING)).endswith(b"\r\n\r\na")
    await close(server)


async def test_unix_socket_is_listened_on_and_removed(app, tmp_path):
    path = str(tmp_path / "s.sock")
    seen = []
    app.on_request(lambda request: seen.append((request.ip, request.port, request.conn_info.client_port)))
    server = await app.create_server(unix=path, access_log=False)
    assert (await talk(path, CLOSING)).endswith(b"\r\n\r\na")
    assert seen == [("", 0, 0)]
    assert server.server.address == path
    assert server.server.url == f"unix:{path}"
    await close(server)
    assert os.listdir(tmp_path) == []


async def test_unix_socket_that_a_dead_server_left_is_replaced(app, tmp_path):
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    server = await app.create_server(unix=path, access_log=False)
    assert (await talk(path, CLOSING)).endswith(b"\r\n\r\na")
    await close(server)


async def test_file_is_not_replaced_by_a_unix_socket(app, tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="exists and is no socket"):
        await app.create_server(unix=str(path))
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def certificate(authority, tmp_path):
    """Certificate and key as files, and as a context."""
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    return {"files": {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}, "context": context}


@pytest.mark.parametrize("form", ["files", "context"])
async def test_tls(app, authority, certificate, form):
    app.get("/scheme")(lambda request: text(f"{request.scheme} {request.conn_info.ssl}"))
    server = await app.create_server(port=0, ssl=certificate[form], access_log=False)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client, server_hostname="localhost")
    writer.write(CLOSING.replace(b"/a", b"/scheme"))
    assert (await reader.read()).endswith(b"\r\n\r\nhttps True")
    writer.close()
    await close(server)


@pytest.mark.parametrize("given", [{"cert": "x"}, {"key": "x"}, {}])
async def test_tls_needs_certificate_and_key(app, given):
    with pytest.raises(SanicException, match="both a cert and a key"):
        await app.create_server(port=0, ssl=given)


async def test_certificate_that_is_not_there_is_an_error(app, tmp_path):
    missing = str(tmp_path / "none.pem")
    with pytest.raises(FileNotFoundError):
        await app.create_server(port=0, ssl={"cert": missing, "key": missing})


# run and stop


class Running:
    """An application that ``run`` serves in a thread; ``stop`` ends it and gives what arrived of it."""

    def __init__(self, app, **options):
        self.app = app
        self.ready = threading.Event()
        self.failure = None
        app.after_server_start(lambda app: self.ready.set())
        self.options = {"register_sys_signals": False, "access_log": False, "port": 0, **options}
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            self.app.run(**self.options)
        except BaseException as error:
            self.failure = error
        finally:
            self.ready.set()

    def stop(self):
        self.app.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def ask(sock, path="/a"):
    connection = http.client.HTTPConnection(*sock.getsockname(), timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_run_serves_until_stopped_from_another_thread(app, listening):
    running = Running(app, sock=listening.dup())
    assert running.ready.wait(10)
    assert ask(listening) == (200, b"a")
    assert app.is_running
    running.stop()
    assert not app.is_running


def test_listeners_and_tasks_run_around_it(app, listening):
    order = []
    for event in ("main_process_start", "before_server_start", "after_server_stop", "main_process_stop"):
        app.register_listener(lambda app, loop, event=event: order.append(event), event)

    async def work():
        try:
            order.append("task")
            await asyncio.Event().wait()
        finally:
            order.append("task cancelled")

    app.add_task(work)
    running = Running(app, sock=listening)
    running.ready.wait(10)
    running.stop()
    assert order == [
        "main_process_start",
        "before_server_start",
        "task",
        "task cancelled",
        "after_server_stop",
        "main_process_stop",
    ]


def test_handler_may_stop_its_own_server(app, listening):
    @app.get("/stop")
    async def stop(request):
        app.stop()
        return text("stopping")

    running = Running(app, sock=listening.dup())
    running.ready.wait(10)
    assert ask(listening, "/stop") == (200, b"stopping")
    running.thread.join(10)
    assert not running.thread.is_alive()


@pytest.mark.parametrize("event", ["before_server_start", "after_server_start"])
def test_listener_may_stop_the_server_before_it_serves(app, event):
    order = []
    app.register_listener(lambda app: app.stop(), event)
    app.after_server_stop(lambda app: order.append("stopped"))
    app.run(port=0, register_sys_signals=False, motd=False)
    assert order == ["stopped"]


def test_what_a_listener_sets_in_its_context_is_seen_by_handlers_and_by_later_listeners(app, listening):
    pool = ContextVar("pool", default="none")
    seen = []
    app.before_server_start(lambda app: pool.set("open"))
    app.get("/pool")(lambda request: text(pool.get()))
    for event in ("after_server_start", "before_server_stop", "after_server_stop"):
        app.register_listener(lambda app: seen.append(pool.get()), event)
    running = Running(app, sock=listening.dup())
    running.ready.wait(10)
    assert ask(listening, "/pool") == (200, b"open")
    running.stop()
    assert seen == ["open"] * 3


def test_stop_of_an_application_that_does_not_run_does_nothing(app):
    app.stop()
    running = Running(app)
    running.ready.wait(10)
    assert app.is_running
    running.stop()
    app.stop()


def test_application_may_be_run_again(app, listening):
    for _ in range(2):
        running = Running(app, sock=listening.dup())
        running.ready.wait(10)
        assert ask(listening) == (200, b"a")
        running.stop()


def test_run_on_an_address_that_is_taken_is_an_error(app, listening):
    stopped = []
    app.main_process_stop(lambda app: stopped.append(True))
    with pytest.raises(OSError, match="address already in use"):
        app.run(port=listening.getsockname()[1], register_sys_signals=False)
    assert stopped == [True]


def test_stop_lets_an_open_stream_finish(app, listening):
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 10
    stopping = asyncio.Event()

    @app.get("/stream")
    async def streaming(request):
        async def write(response):
            await response.write("first ")
            app.stop()
            await stopping.wait()
            await response.write("last")

        return stream(write)

    app.before_server_stop(lambda app: stopping.set())
    running = Running(app, sock=listening.dup())
    running.ready.wait(10)
    assert ask(listening, "/stream") == (200, b"first last")
    running.stop()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stop_event": object()}, "no longer takes stop_event"),
        ({"log_config": {"version": 1}}, "no longer takes stop_event and log_config"),
    ],
)
def test_argument_that_does_nothing_is_told_to_the_log(app, caplog, options, said):
    app.after_server_start(lambda app: app.stop())
    app.run(port=0, register_sys_signals=False, **options)
    assert said in caplog.text


def test_arguments_that_are_ours_say_nothing(app, caplog):
    app.after_server_start(lambda app: app.stop())
    app.run(port=0, register_sys_signals=False, workers=1, single_process=True, auto_reload=False, motd=False)
    assert not caplog.records


def test_stop_after_the_loop_is_gone_does_nothing(app):
    app.test_client.get("/a")
    app.stop()
    assert not app.is_running


def test_run_sets_the_loggers_up(app, caplog):
    levels = {one: one.level for one in (logger, error_logger)}
    app.configure_logging = True
    app.log_config = {
        "version": 1,
        "disable_existing_loggers": False,
        "loggers": {"sanicish.extra": {"level": "ERROR"}},
    }
    app.after_server_start(lambda app: app.stop())
    try:
        app.run(port=0, debug=True, register_sys_signals=False)
        assert logging.getLogger("sanicish.extra").level == logging.ERROR
        assert [one.level for one in levels] == [logging.DEBUG] * 2
    finally:
        for one, level in levels.items():
            one.setLevel(level)


def test_first_line_says_where_it_listens(app, caplog, listening):
    app.after_server_start(lambda app: app.stop())
    with caplog.at_level("INFO", "sanicish.root"):
        app.run(sock=listening, register_sys_signals=False)
    pattern = rf"test on http://127\.0\.0\.1:[1-9][0-9]* \(1 worker, uvloop, pid {os.getpid()}, Ctrl-C stops\)"
    assert re.fullmatch(pattern, caplog.records[0].getMessage())


@pytest.mark.parametrize("uvloop", [True, False])
def test_loop_is_uvloop_unless_the_settings_say_otherwise(app, uvloop):
    app.config.USE_UVLOOP = uvloop
    seen = []

    @app.after_server_start
    async def look(app, loop):
        seen.append(type(loop).__module__.startswith("uvloop"))
        app.stop()

    app.go_fast(port=0, register_sys_signals=False)
    assert seen == [uvloop]
