"""Every phase of a connection, and every way its peer can go: over TCP, TLS and unix sockets, on both loops.

Whatever happens, the connection is closed within its timeout, its place is free, its handler is told, and callbacks are
called once.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections import Counter

import pytest

from sanicish import Sanic
from sanicish.response import file, stream, text
from sanicish.server.serve import Stage
from sanicish.wire import Phase
from tests.cases.requests import head, sized
from tests.doubles.tls import Tls, client_hello
from tests.waiting import until

pytestmark = pytest.mark.slow

PATIENCE = 20.0  # seconds for what takes a third of a second when nothing else runs
SHORT = 0.3
GRACE = 1.5  # for a peer that goes after the stop has begun
TIMEOUTS = (
    "REQUEST_TIMEOUT",
    "REQUEST_IDLE_TIMEOUT",
    "RESPONSE_TIMEOUT",
    "WRITE_TIMEOUT",
    "KEEP_ALIVE_TIMEOUT",
    "LINGER_TIMEOUT",
    "GRACEFUL_SHUTDOWN_TIMEOUT",
    "GRACEFUL_TCP_CLOSE_TIMEOUT",
)


@pytest.fixture(scope="module")
def tls():
    return Tls()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "large"
    with path.open("wb") as opened:
        opened.truncate(50_000_000)
    return path


class Scene:
    """A server with one place, and what its handlers were told."""

    def __init__(self, kind, phase, tls, large, path):
        self.kind = kind
        self.phase = phase
        self.tls = tls
        self.path = str(path)
        self.app = app = Sanic("test", configure_logging=False, register=False, load_env=False)
        app.config.update(dict.fromkeys(TIMEOUTS, SHORT) | {"MAX_CONNECTIONS": 1, "ACCESS_LOG": False})
        app.config.GRACEFUL_SHUTDOWN_TIMEOUT = GRACE
        if phase not in BEFORE_HTTP:
            app.config.REQUEST_TIMEOUT = PATIENCE  # of the handshake; what the head has is set by hurry()
        self.entered = asyncio.Event()
        self.running = 0  # handlers
        self.outcomes = []  # as the server tells them
        self.completed = []  # as responses tell them
        self.told = Counter()  # of clients that left
        app.add_signal(self._complete, "http.lifecycle.complete")

        @app.get("/hello")
        async def hello(request):
            return text("hello")

        @app.get("/wait")
        async def wait(request):
            with self.handler(request):
                await asyncio.Event().wait()

        @app.post("/read", stream=True)
        async def read(request):
            with self.handler(request):
                await request.stream.read_all()

        @app.post("/ignore", stream=True)
        async def ignore(request):
            return text("hello")

        @app.get("/write")
        async def write(request):
            async def endless(response):
                with self.handler(request):
                    while True:
                        await response.write(b"x" * 100_000)

            return self.watched(stream(endless))

        @app.get("/file")
        async def download(request):
            self.entered.set()
            return self.watched(await file(large))

        @app.get("/large")
        async def whole(request):
            return text("x" * 20_000_000)

    @contextlib.contextmanager
    def handler(self, request):
        request.on_disconnect(lambda: self.told.update(["left"]))
        self.running += 1
        self.entered.set()
        try:
            yield
        finally:
            self.running -= 1

    def watched(self, response):
        response.on_complete(self.completed.append)
        return response

    async def _complete(self, request, outcome, **context):
        if request.path not in ("/hello", "/ignore"):
            self.outcomes.append(str(outcome))

    async def start(self):
        behind_proxy = self.phase is in_preamble
        self.app.config.update({"PROXY_PROTOCOL": behind_proxy, "TRUSTED_PROXIES": "127.0.0.1, unix"})
        where = {"unix": self.path} if self.kind == "unix" else {"port": 0}
        secure = {"ssl": self.tls.server} if self.kind == "tls" else {}
        made = await self.app.create_server(access_log=False, **where, **secure)
        self.server, self.address = made.server, made.sockets[0].getsockname()
        self.close = made.close

    def take_time(self):
        """Nothing is overdue while a peer gets as far as it should, however busy the machine is."""
        self.server.timeouts = self.server.timeouts._make([PATIENCE if each else each for each in self.server.timeouts])

    def hurry(self):
        """The timeouts begin to count; a stop has its own."""
        if self.phase is stopping:
            return
        self.server.timeouts = self.app.config.timeouts()._replace(head=SHORT)

    @property
    def connection(self):
        (protocol,) = self.server.connections
        return protocol.wire

    def is_empty(self):
        server = self.server
        return not (server.connections or server._arriving or self.running)


class Peer:
    """A client that is a bare socket, with TLS where the scene has it."""

    def __init__(self, scene):
        self.scene = scene
        self.loop = asyncio.get_running_loop()
        self.sock = socket.socket(socket.AF_UNIX if scene.kind == "unix" else socket.AF_INET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.setblocking(False)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = None

    async def connect(self):
        await self.loop.sock_connect(self.sock, self.scene.address)

    async def shake_hands(self):
        if self.scene.kind == "tls":
            context = self.scene.tls.client()
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
            while True:
                try:
                    self._tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await self.raw(self._outgoing.read())
                    self._incoming.write(await self.loop.sock_recv(self.sock, 65_536))
            await self.raw(self._outgoing.read())

    async def raw(self, data):
        await self.loop.sock_sendall(self.sock, data)

    async def send(self, data):
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        await self.raw(data)

    async def until(self, mark):
        got = b""
        async with asyncio.timeout(PATIENCE):
            while mark not in got:
                data = await self.loop.sock_recv(self.sock, 65_536)
                assert data, "the server has closed too early"
                if self._tls is not None:
                    self._incoming.write(data)
                    data = b""
                    with contextlib.suppress(ssl.SSLWantReadError):
                        while True:
                            data += self._tls.read(65_536)
                got += data

    def close(self):
        self.sock.close()

    def reset(self):
        if self.scene.kind != "unix":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)


# Phases: what the peer does until it goes


async def in_head(scene, peer):
    await peer.send(b"GET /hello HTTP/1.1\r\nHo")
    await until(lambda: scene.server.connections and scene.connection.head_size)


async def reading_a_body(scene, peer):
    await peer.send(sized(b"1000", b"x" * 10).replace(b"POST / ", b"POST /read "))
    await until(scene.entered.is_set)


async def waiting(scene, peer):
    await peer.send(head(b"GET /wait HTTP/1.1"))
    await until(scene.entered.is_set)


async def writing(scene, peer):
    await peer.send(head(b"GET /write HTTP/1.1"))
    await until(scene.entered.is_set)
    await until(lambda: scene.connection.flow.paused)


async def sending_a_file(scene, peer):
    await peer.send(head(b"GET /file HTTP/1.1"))
    await until(scene.entered.is_set)
    await until(lambda: scene.connection.flow.paused)


async def idle(scene, peer):
    await peer.send(head(b"GET /hello HTTP/1.1"))
    await peer.until(b"hello")
    await until(lambda: scene.connection.phase is Phase.IDLE)


async def draining(scene, peer):
    await peer.send(sized(b"1000", b"x" * 10).replace(b"POST / ", b"POST /ignore "))
    await peer.until(b"hello")
    await until(lambda: scene.connection.phase is Phase.DRAIN)


async def lingering(scene, peer):
    await peer.send(b"\x00\r\n\r\n")
    await until(lambda: scene.server.connections and scene.connection.phase is Phase.LINGER)


async def closing(scene, peer):
    await peer.send(head(b"GET /large HTTP/1.1", b"Connection: close"))
    await until(lambda: scene.server.connections and scene.connection.phase is Phase.CLOSING)


async def shaking_hands(scene, peer):
    await peer.raw(client_hello(scene.tls.client())[:100])
    await until(lambda: scene.server._arriving)


async def in_preamble(scene, peer):
    await peer.raw(b"PROXY TCP4 192.0.2")
    await until(lambda: scene.server._arriving)


async def stopping(scene, peer):
    await waiting(scene, peer)
    scene.close()
    await until(lambda: scene.server.stage is Stage.STOPPING)


HANDLED = (reading_a_body, waiting, writing, sending_a_file, stopping)
BEFORE_HTTP = (shaking_hands, in_preamble)
PHASES = (in_head, *HANDLED, idle, draining, lingering, closing, *BEFORE_HTTP)


# Endings: how it goes


async def fin(peer):
    peer.close()


async def reset(peer):
    peer.reset()


async def fin_then_reset(peer):
    peer.half_close()
    await asyncio.sleep(0.1)
    peer.reset()


async def silence(peer):
    pass


async def half_close_and_stay(peer):
    peer.half_close()


GONE = (fin, reset, fin_then_reset)
ENDINGS = (*GONE, silence, half_close_and_stay)
OUTCOMES = {
    (reading_a_body, silence): "completed",  # by 408
    (waiting, silence): "completed",  # by 503
    (writing, silence): "timed out",
    (sending_a_file, silence): "timed out",
    (stopping, silence): "shut down",
    (reading_a_body, half_close_and_stay): "client left",
    (waiting, half_close_and_stay): "client left",
    (writing, half_close_and_stay): "timed out",
    (sending_a_file, half_close_and_stay): "timed out",
    (stopping, half_close_and_stay): "client left",
}


async def play(scene, phase, ending):
    """One peer that gets so far and goes like this."""
    peer = Peer(scene)
    try:
        await peer.connect()
        if phase not in BEFORE_HTTP:
            await peer.shake_hands()
        await phase(scene, peer)
        scene.hurry()
        await ending(peer)
        await until(scene.is_empty)
    finally:
        peer.close()
    if phase is not stopping:
        assert scene.server._places._taken == 0
    await until(lambda: len(scene.outcomes) == (phase in HANDLED or phase is closing))
    if phase in HANDLED:
        expected = {OUTCOMES.get((phase, ending), "client left")}
        if (
            scene.kind == "tls" and ending is half_close_and_stay
        ):  # TLS has no half-close; uvloop tells when all is sent
            expected.add("client left")
        assert expected.issuperset(scene.outcomes)
    if phase in (writing, sending_a_file):
        assert scene.completed == scene.outcomes
    left = ending in GONE and phase in (reading_a_body, waiting, writing, stopping)
    assert scene.told["left"] == 1 if left else scene.told["left"] <= 1


def open_files():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("kind", ["tcp", "tls", "unix"])
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
async def test_nothing_is_left_however_the_peer_goes(kind, phase, tls, large, tmp_path):
    if phase is shaking_hands and kind != "tls":
        pytest.skip("there is no handshake")
    scenes = [Scene(kind, phase, tls, large, tmp_path / str(number)) for number in range(len(ENDINGS))]
    for scene in scenes:
        await scene.start()
        with socket.socket(
            socket.AF_UNIX if kind == "unix" else socket.AF_INET
        ) as sock:  # loops open files of their own
            sock.connect(scene.address)
            await until(lambda: scene.server.connections or scene.server._arriving)
        await until(scene.is_empty)
        scene.take_time()
    before = open_files()
    try:
        results = await asyncio.gather(
            *[play(scene, phase, ending) for scene, ending in zip(scenes, ENDINGS, strict=True)], return_exceptions=True
        )
        failed = {ending.__name__: one for ending, one in zip(ENDINGS, results, strict=True) if one is not None}
        assert not failed
        await until(lambda: open_files() <= before)
    finally:
        await asyncio.gather(*[scene.close() for scene in scenes])
