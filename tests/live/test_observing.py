"""What several worker processes tell of themselves: metrics and the live view, as one."""

import json
import os
import signal
import socket
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from tests.doubles.command import end, started
from tests.test_metrics import Told
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, os
from prometheus_client import Counter
from sanicish import Sanic, text
from sanicish.live.view import live_view
from sanicish.metrics import metrics

app = Sanic("pool")
app.blueprint(metrics(port=int(os.environ["APART"])))
app.blueprint(metrics(name="here"))
app.blueprint(live_view())
orders = Counter("orders", "Orders.")

@app.get("/", name="home")
async def who(request):
    orders.inc()
    return text(f"{os.getpid()} {os.environ['PROMETHEUS_MULTIPROC_DIR']}")

@app.get("/wait")
async def wait(request):
    yield "waiting"
    await asyncio.Event().wait()
"""


@pytest.fixture
def apart():
    """A port that several processes can share, and nobody else has."""
    with closing(socket.socket()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def pool(tmp_path, apart):
    (tmp_path / "pool.py").write_text(PROGRAM)
    env = {"APART": str(apart), "TMPDIR": str(tmp_path), "SANICISH_GRACEFUL_SHUTDOWN_TIMEOUT": "0.2"}
    process = started("pool:app", "-p", 0, "--workers", 2, "--no-access-log", cwd=tmp_path, env=env)
    told = {}
    while len(told) < 2:  # one is written by a worker, the other by the supervisor
        line = process.stdout.readline()
        assert line, told
        told |= {name: line for name in ("2 workers", "live view") if name in line}
    process.token = told["live view"].strip().partition("?token=")[2]
    process.url = told["2 workers"].split(" on ")[1].split(" (")[0]
    yield process
    if process.poll() is None:
        end(process)
    process.stdout.close()


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def workers(url, asked, without=()):
    """The two workers that response, counting how often they were asked; and their folder."""
    deadline, seen = time.monotonic() + 10, set()
    while len(seen) < 2 and time.monotonic() < deadline:
        pid, folder = get(url).split()
        asked.append(int(pid))
        seen |= {int(pid)} - set(without)
    assert len(seen) == 2, seen
    return seen, Path(folder)


def counts(page):
    home = page("exchanges_total", route="pool.home", method="GET", status="200", outcome="completed")
    return home, page.samples["orders_total", ()], page("exchange_duration_seconds_count", route="pool.home")


def test_every_worker_tells_what_all_have_counted_and_the_dead_too(pool, apart):
    asked = []
    pids, folder = workers(pool.url, asked)
    places = [f"{pool.url}/metrics", f"http://127.0.0.1:{apart}/metrics"]
    for place in places * 4:
        wait_until(lambda place=place: counts(Told(get(place))) == (len(asked),) * 3)
    victim = pids.pop()
    os.kill(victim, signal.SIGKILL)
    workers(pool.url, asked, {victim})
    for place in places * 4:
        wait_until(lambda place=place: counts(Told(get(place))) == (len(asked),) * 3)
    assert not list(folder.glob(f"*_{victim}.db"))
    wait_until(lambda: Told(get(places[0]))("connections") == 1)
    pool.terminate()
    assert pool.wait(20) == 0
    assert not folder.exists()


def test_no_sum_goes_down_while_workers_are_renewed(pool):
    asked = []
    before, folder = workers(pool.url, asked)
    pool.send_signal(signal.SIGHUP)
    sums = []
    while len(set(asked) - before) < 2:
        asked.append(int(get(pool.url).split()[0]))
        sums.append(counts(Told(get(f"{pool.url}/metrics")))[0])
    wait_until(lambda: counts(Told(get(f"{pool.url}/metrics"))) == (len(asked),) * 3)
    assert sums == sorted(sums)
    wait_until(lambda: get(f"{pool.url}/metrics") and not any(list(folder.glob(f"*_{pid}.db")) for pid in before))


def test_what_is_open_is_added_up(pool):
    host, port = pool.url.removeprefix("http://").split(":")
    socks = []
    try:
        for _ in range(12):
            socks.append(socket.create_connection((host, int(port))))
            socks[-1].sendall(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert socks[-1].recv(1000).startswith(b"HTTP/1.1 200")
        # All but what asks now.
        wait_until(lambda: Told(get(f"{pool.url}/metrics"))("open_streams") == 12)
    finally:
        for sock in socks:
            sock.close()
    wait_until(lambda: Told(get(f"{pool.url}/metrics"))("open_streams") == 0)


def test_the_live_view_shows_the_streams_of_all_workers(pool):
    host, port = pool.url.removeprefix("http://").split(":")
    socks, pids = [], workers(pool.url, [])[0]
    try:
        for _ in range(12):
            socks.append(socket.create_connection((host, int(port))))
            socks[-1].sendall(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        request = urllib.request.Request(f"{pool.url}/live/events", headers={"Authorization": f"Bearer {pool.token}"})
        with urllib.request.urlopen(request, timeout=10) as events:
            looks = (json.loads(line[6:]) for line in events if line.startswith(b"data: "))
            look = next(
                look
                for look in looks
                if len(look["workers"]) == 2 and sum(one["open"] for one in look["workers"]) == 13
            )
    finally:
        for sock in socks:
            sock.close()
    assert {one["pid"] for one in look["workers"]} == pids
    assert sum(stream["path"] == "/wait" for one in look["workers"] for stream in one["streams"]) == 12
