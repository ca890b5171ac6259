"""Our recipes for six proxies, with the real programs: streams in both directions, cuts, forwarded fields, slow requests."""

import http.client
import re
import socket
import threading
import time
from contextlib import ExitStack

import pytest

from tests.doubles.proxies import PROXIES, running
from tests.live.test_haproxy import PROGRAM as LOADED
from tests.live.test_haproxy import Load, Replica
from tests.waiting import wait_until

PROGRAM = """
import asyncio, os
from sanicish import Sanic, text

app = Sanic("replica")
app.config.FORWARDED_FIELDS = "proto, host, port, path"
app.ctx.news = asyncio.Queue()
app.ctx.read = b""
app.ctx.runs = 0

@app.get("/")
async def root(request):
    return text(f"{os.getpid()} {request.remote_addr}")

@app.get("/next")
async def go_on(request):
    app.ctx.news.put_nowait(request.args.get("piece"))
    return text("")

@app.get("/stream")
async def stream(request):
    response = await request.respond(content_type="text/event-stream")
    await response.send("first,")
    while (piece := await app.ctx.news.get()) != "end":
        await response.send(piece + ",")
    await response.eof()

@app.get("/cut/<how>")
async def cut(request, how):
    headers = {"Content-Length": "100000"} if how == "length" else {}
    response = await request.respond(headers=headers, content_type="application/octet-stream")
    await response.send(b"x" * 50_000)
    await asyncio.sleep(0.05)
    raise ZeroDivisionError("on purpose")

@app.post("/upload", stream=True)
async def upload(request):
    app.ctx.read = b""
    async for piece in request.stream:
        app.ctx.read += piece
    return text(f"{len(app.ctx.read)}")

@app.get("/read")
async def read(request):
    return text(app.ctx.read.decode())

@app.get("/who")
async def who(request):
    return text(" ".join([request.remote_addr, request.scheme, request.host, request.url_for("root")]))

@app.get("/slow")
async def slow(request):
    app.ctx.runs += 1
    await asyncio.sleep(5)
    return text("done")

@app.get("/runs")
async def runs(request):
    return text(str(app.ctx.runs))
"""
OPTIONS = ("--ready-path", "--keep-alive", 75, "--proxies-count", 1, "--no-access-log")


def installed(names):
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(PROXIES[name].path is None, reason=f"{PROXIES[name].program} is not installed"),
        )
        for name in names
    ]


pytestmark = pytest.mark.slow
each_proxy = pytest.mark.parametrize("name", installed(PROXIES))


def replica_in(folder, *options, program=PROGRAM):
    (folder / "replica.py").write_text(program)
    return Replica(folder, *OPTIONS, *options)


@pytest.fixture
def replica(tmp_path):
    made = replica_in(tmp_path)
    yield made
    made.stop()


def ask(address, path, method="GET", **fields):
    connection = http.client.HTTPConnection(*address, timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in fields.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture
def front(name, replica):
    """The address of a proxy in front of one replica."""
    with running(name, [replica.port]) as address:
        wait_until(lambda: ask(address, "/")[0] == 200)  # some look first whether the replica is there
        yield address


class Stream:
    """A client that reads what has arrived."""

    def __init__(self, address, head):
        self.sock = socket.create_connection(address, timeout=20)
        self.sock.sendall(head.encode() + b"\r\n\r\n")
        self.seen = b""

    def until(self, mark):
        while mark not in self.seen:
            data = self.sock.recv(65_536)
            assert data, self.seen
            self.seen += data

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.sock.close()


@each_proxy
def test_each_piece_of_a_response_arrives_before_the_next_one_is_sent(front, replica):
    direct = ("127.0.0.1", replica.port)
    with Stream(front, "GET /stream HTTP/1.1\r\nHost: a") as client:
        client.until(b"first,")
        for piece in ("one", "two", "three"):
            ask(direct, f"/next?piece={piece}")
            client.until(f"{piece},".encode())
        ask(direct, "/next?piece=end")
        client.until(b"0\r\n\r\n")


@pytest.mark.parametrize("name", installed([name for name, proxy in PROXIES.items() if proxy.uploads_in_pieces]))
def test_each_piece_of_an_upload_arrives_before_the_next_one_is_sent(front, replica):
    direct = ("127.0.0.1", replica.port)
    with Stream(front, "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked") as client:
        sent = b""
        for piece in (b"one", b"two", b"three"):
            client.sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            sent += piece
            wait_until(lambda: ask(direct, "/read")[1] == sent)
        client.sock.sendall(b"0\r\n\r\n")
        client.until(b"11")


@pytest.mark.parametrize("how", ["chunked", "length"])
@each_proxy
def test_a_response_that_is_cut_does_not_look_complete(front, name, how):
    """Where a recipe can do nothing about it, the page on proxies says so."""
    try:
        looks_complete = ask(front, f"/cut/{how}")[0] == 200
    except (http.client.IncompleteRead, ConnectionResetError):
        looks_complete = False
    assert looks_complete == (how in PROXIES[name].hides_cuts)


FORGED = {
    "X_Forwarded_For": "203.0.113.9",
    "X_Forwarded_Host": "evil.example",
    "X_Forwarded_Port": "666",
    "X_Forwarded_Path": "/evil",
    "X_Forwarded_Proto": "https",
    "X_Scheme": "https",
    "X_Real_IP": "203.0.113.9",
    "Forwarded": "for=203.0.113.9;host=evil.example;proto=https",
}


@each_proxy
def test_what_a_client_writes_into_forwarding_fields_is_not_believed(front):
    status, body = ask(front, "/who", Host="shop.example", **FORGED)
    assert (status, body.decode()) == (200, "127.0.0.1 http shop.example http://shop.example/")


def in_one_second(text):
    """The recipe with its timeout of the replica shortened."""
    changed = re.sub(r"\b75( seconds|s)?\b(?!\))", r"1\1", text)
    assert changed != text
    return changed


@each_proxy
def test_a_slow_request_runs_once_and_holds_up_nobody(name, tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    with ExitStack() as stack:
        replicas = []
        for folder in folders:
            folder.mkdir()
            replicas.append(replica_in(folder))
            stack.callback(replicas[-1].stop)
        front = stack.enter_context(running(name, [one.port for one in replicas], in_one_second))
        wait_until(lambda: ask(front, "/")[0] == 200)
        slow = []
        asking = threading.Thread(target=lambda: slow.append(ask(front, "/slow")[0]))
        asking.start()
        others = []
        while asking.is_alive():
            others.append(ask(front, "/")[0])
            time.sleep(0.02)
        asking.join()
        others += [ask(front, "/")[0] for _ in range(20)]
        runs = [int(ask(("127.0.0.1", one.port), "/runs")[1]) for one in replicas]
    assert slow[0] in (502, 503, 504)
    assert sum(runs) == PROXIES[name].runs_of_slow
    assert set(others) == {200}


@pytest.mark.parametrize("name", installed(["nginx", "Caddy", "Varnish"]))
def test_a_rolling_restart_loses_no_request(name, tmp_path):
    """HAProxy has a test of its own; Apache and Squid are not told when a replica drains."""
    with ExitStack() as stack:
        replicas = []
        for folder in (tmp_path / "one", tmp_path / "two"):
            folder.mkdir()
            replicas.append(replica_in(folder, "--drain-delay", 1.5, program=LOADED))
            stack.callback(replicas[-1].stop)
        front = stack.enter_context(running(name, [one.port for one in replicas]))
        wait_until(lambda: ask(front, "/")[0] == 200)
        with Load(front) as load:
            for replica in replicas:
                replica.stop()
                replica.start()
                pid = replica.process.pid
                wait_until(lambda: int(ask(front, "/")[1].split()[0]) == pid)
    assert load.failed == []
    assert load.answered["short"] > 50 and load.answered["download"] >= 3 and load.answered["upload"] >= 3
