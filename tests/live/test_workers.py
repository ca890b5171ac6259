"""Several worker processes: killed, renewed, stopped, while clients ask."""

import http.client
import os
import signal
import socket
import threading
import time
import urllib.request

import pytest

from tests.doubles.command import end, started

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio
import os
from sanicish import Sanic, text
app = Sanic("pool")

@app.get("/endless")
async def endless(request):
    response = await request.respond()
    while True:
        await response.send("x")
        await asyncio.sleep(0.05)

@app.get("/")
async def who(request):
    return text(str(os.getpid()))
"""


@pytest.fixture
def options():
    """More for the command line."""
    return ()


@pytest.fixture
def pool(tmp_path, options):
    (tmp_path / "pool.py").write_text(PROGRAM)
    process = started("pool:app", "-p", 0, "--workers", 2, "--no-access-log", *options, cwd=tmp_path)
    line = process.stdout.readline()
    assert "2 workers" in line, line
    process.url = line.split(" on ")[1].split(" (")[0]
    yield process
    if process.poll() is None:
        end(process)
    process.stdout.close()


def ask(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(answer.read())


def workers(url, count, without=()):
    """The ids of so many workers that response."""
    deadline, seen = time.monotonic() + 10, set()
    while len(seen) < count and time.monotonic() < deadline:
        seen |= {ask(url)} - set(without)
    assert len(seen) == count, seen
    return seen


def test_a_worker_that_is_killed_is_replaced_while_the_other_serves(pool):
    before = workers(pool.url, 2)
    victim = before.pop()
    os.kill(victim, signal.SIGKILL)
    assert len(workers(pool.url, 2, {victim}) - before) == 1


@pytest.mark.parametrize("kept", [False, True], ids=["new connections", "kept connections"])
def test_renewal_under_load_loses_no_request(pool, kept):
    before = workers(pool.url, 2)
    host, port = pool.url.removeprefix("http://").split(":")
    failed, answered, done = [], [], threading.Event()

    def load():
        connection = None
        while not done.is_set():
            try:
                connection = connection or http.client.HTTPConnection(host, int(port), timeout=10)
                connection.request("GET", "/", headers={} if kept else {"Connection": "close"})
                answer = connection.getresponse()
                answer.read()
                answered.append(answer.status == 200 or failed.append(answer.status))
                if not connection.sock:  # the response said so, and http.client has obeyed
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                failed.append(error)
                connection = None
        if connection is not None:
            connection.close()

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        pool.send_signal(signal.SIGHUP)
        after = workers(pool.url, 2, before)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failed == [] and len(answered) > 20
    assert not after & before


def test_a_stop_ends_all_of_them(pool):
    pids = workers(pool.url, 2)
    pool.send_signal(signal.SIGTERM)
    assert pool.wait(20) == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("options", [("--ready-path", "--drain-delay", "3")])
def test_all_of_them_drain_before_a_stop_and_none_when_it_is_renewed(pool):
    before = workers(pool.url, 2)
    pool.send_signal(signal.SIGHUP)
    while workers(pool.url, 2) & before:
        assert status(f"{pool.url}/ready") == 200
    pool.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 10
    while status(f"{pool.url}/ready") == 200:
        assert time.monotonic() < deadline
    assert [status(f"{pool.url}/ready") for _ in range(8)] == [503] * 8
    assert status(pool.url) == 200
    assert pool.wait(20) == 0


def test_a_second_signal_ends_what_is_open_at_once(pool):
    host, port = pool.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as stream:
        stream.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stream.recv(100).startswith(b"HTTP/1.1 200 OK")
        pool.send_signal(signal.SIGTERM)
        while b"INFO: stopping; " not in (line := pool.stdout.readline().encode()):
            assert line
        pool.send_signal(signal.SIGTERM)
        assert pool.wait(10) == 0


@pytest.mark.parametrize("options", [("--timeout-start", "5")])
def test_one_that_hangs_while_it_starts_is_killed_and_the_old_ones_stay(pool, tmp_path):
    before = workers(pool.url, 2)
    program = (tmp_path / "pool.py").read_text()
    (tmp_path / "pool.py").write_text(f"import time\ntime.sleep(600)\n{program}")
    pool.send_signal(signal.SIGHUP)
    while "did not become ready in time" not in (line := pool.stdout.readline()):
        assert line
    assert workers(pool.url, 2) == before
    (tmp_path / "pool.py").write_text(program)
    pool.send_signal(signal.SIGHUP)
    assert not workers(pool.url, 2, before) & before


class Sequence:
    """Clients that connect one after the other while a server stops; how long each waited for what became of it."""

    def __init__(self, url):
        self.address = (url.rpartition("/")[2].split(":")[0], int(url.rpartition(":")[2]))
        self.answered, self.refused, self.lost, self.waited = 0, 0, [], 0.0

    def ask(self):
        began = time.monotonic()
        try:
            sock = socket.create_connection(self.address, timeout=5)
        except OSError:  # nobody is there any more, as a proxy can see before it has sent anything
            self.refused += 1
            return
        with sock:
            try:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                data = b""
                while piece := sock.recv(65_536):
                    data += piece
                self.answered += data.startswith(b"HTTP/1.1 200 ")
            except OSError as error:
                self.lost.append(repr(error))
        self.waited = max(self.waited, time.monotonic() - began)


@pytest.mark.parametrize("options", [(), ("--drain-delay", "0.5")])
def test_a_stop_leaves_no_connection_that_was_made_without_an_answer(pool):
    """One endless response keeps a worker for its grace; nobody may wait for it to end."""
    with urllib.request.urlopen(f"{pool.url}/endless", timeout=20) as open_stream:
        assert open_stream.read(1) == b"x"
        clients = Sequence(pool.url)
        clients.ask()
        pool.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        while not clients.refused:
            assert time.monotonic() < deadline
            clients.ask()
        assert pool.poll() is None, "it has ended already"
    pool.wait(30)
    assert clients.lost == []
    assert clients.answered >= 1
    assert clients.waited < 4
