"""A server as a process of its own, under pressure that tests in one process cannot make."""

import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.waiting import wait_until

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, resource, sys
from sanicish import Sanic, stream, text

limit = int(sys.argv[1])
if limit:
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
app = Sanic("live")
app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 10

@app.get("/")
async def hello(request):
    return text("hello")

@app.get("/clock")
async def clock(request):
    async def write(response):
        while True:
            await response.write("tick")
            await asyncio.sleep(0.01)
    response = stream(write)
    response.on_complete(lambda outcome: print(outcome, flush=True))
    return response

@app.get("/greedy")
async def greedy(request):
    async def write(response):
        while True:
            await response.write("x" * 100)
    return stream(write)

@app.after_server_start
async def tell(app):
    print(app.serve_location.rpartition(":")[2], flush=True)

app.run("127.0.0.1", 0, access_log=False, motd=False)
"""
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Live:
    """The process, and where it listens."""

    def __init__(self, files=0, **settings):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(files)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **{f"SANICISH_{name}": str(value) for name, value in settings.items()}},
        )
        self.port = int(self.process.stdout.readline())

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(15), self.process.stderr.read()
        finally:
            self.process.kill()


@pytest.fixture
def live():
    started = []

    def start(**options):
        started.append(Live(**options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def ask(sock):
    sock.sendall(GET)
    return sock.recv(1000).endswith(b"\r\n\r\nhello")


def newcomer(server):
    """Whether a new connection is answered."""
    try:
        with server.connect() as sock:
            return ask(sock)
    except OSError:
        return False


@pytest.mark.parametrize("uvloop", [True, False], ids=["uvloop", "asyncio"])
def test_a_server_without_descriptors_neither_dies_nor_spins_and_says_so_once(live, uvloop):
    server = live(files=64, USE_UVLOOP=uvloop)
    socks = []
    for _ in range(120):
        sock = socket.socket()
        sock.settimeout(0.2)
        try:
            sock.connect(("127.0.0.1", server.port))
        except TimeoutError:
            sock.close()
            break
        socks.append(sock)
    before = server.cpu()
    time.sleep(1.5)
    assert server.cpu() - before < 0.25, "it waits"
    assert ask(socks[0]), "who is connected is served"
    for sock in socks:
        sock.close()
    deadline = time.monotonic() + 10
    while not newcomer(server) and time.monotonic() < deadline:  # it has not seen yet that there is room again
        time.sleep(0.02)
    assert newcomer(server), "and others, when there is room again"
    code, log = server.stop()
    (line,) = log.splitlines()
    assert code == 0 and "new connections are refused: too many open files" in line and "limit of 64" in line


def test_thousands_of_connections_that_open_and_go_leave_nothing(live):
    server = live()
    with server.connect() as sock:
        assert ask(sock)
    before = server.open_files()
    for number in range(5_000):
        with server.connect() as sock:
            if number % 3 == 0:
                sock.sendall(GET[: number % len(GET)])
            if number % 3 == 1:
                assert ask(sock)
    wait_until(lambda: server.open_files() <= before)
    code, log = server.stop()
    assert (code, log) == (0, "")


def test_a_second_signal_does_not_wait_for_streams(live):
    server = live()
    with server.connect() as sock:
        sock.sendall(GET.replace(b"/ ", b"/clock "))
        assert b"tick" in sock.recv(1000)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert server.process.poll() is None, "it lets the stream go on"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == 0
        assert server.process.stdout.read().endswith("\nshut down\n")
        log = server.process.stderr.read()
        assert "never retrieved" not in log and "destroyed" not in log


@pytest.mark.parametrize("uvloop", [True, False], ids=["uvloop", "asyncio"])
def test_greedy_streams_keep_nobody_waiting(live, uvloop):
    server = live(USE_UVLOOP=uvloop)
    done = threading.Event()

    def take(socks):
        while not done.is_set():
            for sock in select.select(socks, [], [], 0.1)[0]:
                sock.recv(1_000_000)

    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(server.connect()) for _ in range(100)]
        for sock in socks:
            sock.sendall(GET.replace(b"/ ", b"/greedy "))
        taker = threading.Thread(target=take, args=(socks,))
        taker.start()
        try:
            began = time.monotonic()
            for _ in range(20):
                assert newcomer(server)
            assert time.monotonic() - began < 5
        finally:
            done.set()
            taker.join()


def test_two_hundred_stalled_readers_cost_a_bounded_amount(live):
    server = live()

    def memory():
        fields = Path(f"/proc/{server.process.pid}/statm").read_text().split()
        return int(fields[1]) * resource.getpagesize()

    with server.connect() as sock:
        assert ask(sock)
    before = memory()
    socks = []
    for _ in range(200):
        sock = server.connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(GET.replace(b"/ ", b"/clock "))
        socks.append(sock)
    time.sleep(1)
    assert memory() - before < 200 * 100_000
    for sock in socks:
        sock.close()
