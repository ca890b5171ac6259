"""Metrics: what is counted, and how it is told."""

import asyncio
import os
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.values import MultiProcessValue

from sanicish import metrics as room
from sanicish import stream, text
from sanicish.metrics import metrics
from tests.doubles.wire import Wire

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def registry():
    return CollectorRegistry()


def get(target):
    return GET.replace(b"/", target.encode(), 1)


async def ask(address, request):
    async with Wire(address) as wire:
        wire.send(request)
        return await wire.answer()


def read(page):
    """Every sample of a page, by name and labels."""
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


class Told:
    """What a page tells."""

    def __init__(self, page):
        self.samples = read(page)

    def __call__(self, name, **labels):
        return self.samples.get((f"sanicish_{name}", tuple(sorted(labels.items()))), 0)


async def told(address, target="/metrics"):
    return Told((await ask(address, get(target))).body.decode())


async def test_what_is_counted_of_an_exchange(app, serve, registry):
    app.blueprint(metrics(registry=registry))

    @app.post("/up/<name>", name="up", stream=True)
    async def up(request, name):
        await request.stream.read_all()
        return text("abc", 201)

    address = await serve(app)
    for name in (b"a", b"b"):
        await ask(address, b"POST /up/" + name + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
    page = await told(address)
    assert page("exchanges_total", route="test.up", method="POST", status="201", outcome="completed") == 2
    assert page("received_bytes_total", route="test.up") == 10
    assert page("sent_bytes_total", route="test.up") == 6
    for name in ("exchange_duration_seconds", "first_byte_seconds"):
        assert page(f"{name}_count", route="test.up") == page(f"{name}_bucket", route="test.up", le="+Inf") == 2
        assert 0 < page(f"{name}_sum", route="test.up") < 5


async def test_a_client_cannot_make_up_series(app, serve, registry):
    app.blueprint(metrics(registry=registry))
    address = await serve(app)
    for target, method in (("/a", b"GET"), ("/b", b"GET"), ("/c", b"PROPFIND"), ("/d", b"MKCOL")):
        await ask(address, get(target).replace(b"GET", method))
    page = await told(address)
    assert page("exchanges_total", route="", method="GET", status="404", outcome="completed") == 2
    assert page("exchanges_total", route="", method="other", status="404", outcome="completed") == 2


async def test_an_outcome_is_counted_as_it_was(app, serve, registry):
    app.blueprint(metrics(registry=registry))
    ended = asyncio.Event()
    app.signal("http.stream.aborted")(lambda **said: ended.set())

    @app.get("/", name="broken")
    async def broken(request):
        async def write(response):
            await response.write("abc")
            raise ZeroDivisionError

        return stream(write)

    address = await serve(app)
    async with Wire(address) as wire:
        wire.send(GET)
        await wire.rest()
    await ended.wait()
    page = await told(address)
    assert page("exchanges_total", route="test.broken", method="GET", status="200", outcome="failed") == 1


async def test_what_is_open_is_told_while_it_moves_and_counted_once(app, serve, registry):
    app.blueprint(metrics(registry=registry))
    go_on = asyncio.Event()

    @app.get("/", name="rows")
    async def rows(request):
        yield "abc"
        await go_on.wait()
        yield "de"

    address = await serve(app)
    async with Wire(address) as wire:
        wire.send(GET)
        await wire.until(b"abc\r\n")
        page = await told(address)
        assert (page("connections"), page("open_exchanges"), page("open_streams")) == (2, 2, 1)
        assert page("sent_bytes_total", route="test.rows") == 3
        go_on.set()
        await wire.until(b"0\r\n\r\n")
    page = await told(address)
    assert (page("connections"), page("open_exchanges"), page("open_streams")) == (1, 1, 0)
    assert page("sent_bytes_total", route="test.rows") == 5


async def test_the_first_byte_of_a_stream_is_not_its_last(app, serve, registry):
    app.blueprint(metrics(registry=registry))

    app.get("/", name="whole")(lambda request: text(""))

    @app.get("/rows", name="rows")
    async def rows(request):
        yield "a"
        await asyncio.sleep(0)
        yield "b"

    address = await serve(app)
    await ask(address, GET)
    await ask(address, get("/rows"))
    page = await told(address)
    assert (
        0 < page("first_byte_seconds_sum", route="test.rows") < page("exchange_duration_seconds_sum", route="test.rows")
    )
    assert (
        0
        < page("first_byte_seconds_sum", route="test.whole")
        == page("exchange_duration_seconds_sum", route="test.whole")
    )


async def test_openmetrics_is_told_to_who_asks_for_it(app, serve, registry):
    app.blueprint(metrics(registry=registry))
    accept = b"Accept: application/openmetrics-text;version=1.0.0\r\n\r\n"
    answer = await ask(await serve(app), get("/metrics").replace(b"\r\n\r\n", b"\r\n" + accept))
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert "sanicish_connections" in {family.name for family in read_openmetrics(answer.body.decode())}


async def test_what_else_is_in_the_registry_is_told_too(app, serve, registry):
    app.blueprint(metrics(registry=registry))
    Counter("orders", "Orders.", registry=registry).inc(3)
    assert (await told(await serve(app))).samples["orders_total", ()] == 3


async def test_two_places_count_once(app, serve, registry):
    app.blueprint(metrics(registry=registry))
    app.blueprint(metrics("/again", registry=registry, name="again"))
    app.get("/", name="home")(lambda request: text(""))
    address = await serve(app)
    await ask(address, GET)
    page = await told(address, "/again")
    assert page("exchanges_total", route="test.home", method="GET", status="200", outcome="completed") == 1


async def test_a_port_of_their_own_tells_nothing_else(app, serve, registry, caplog):
    caplog.set_level("INFO", "sanicish.root")
    app.blueprint(metrics(port=0, registry=registry))
    app.get("/", name="home")(lambda request: text(""))
    address = await serve(app)
    await ask(address, GET)
    assert (await ask(address, get("/metrics"))).status == 404
    (line,) = [record.getMessage() for record in caplog.records if "metrics on " in record.getMessage()]
    own = ("127.0.0.1", int(line.removesuffix("/metrics").rpartition(":")[2]))
    page = await told(own)
    assert page("exchanges_total", route="test.home", method="GET", status="200", outcome="completed") == 1
    assert (await ask(own, GET)).status == 404


async def test_the_server_on_a_port_of_its_own_stops_with_the_other(app, registry, caplog):
    caplog.set_level("INFO", "sanicish.root")
    app.blueprint(metrics(port=0, registry=registry))
    server = await app.create_server(port=0, access_log=False)
    line = next(record.getMessage() for record in caplog.records if "metrics on " in record.getMessage())
    await server.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", int(line.removesuffix("/metrics").rpartition(":")[2]))


# Files of workers

DEAD = 2**22 + 1  # no process has such an id
_kept = []  # for the files of a value are never closed


@pytest.fixture
def count(tmp_path, monkeypatch):
    """Count as a worker of that id does."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    made = {}

    def count(pid, type, value, suffix=None, **labels):
        if pid not in made:
            made[pid] = MultiProcessValue(lambda: pid)
            _kept.append(made[pid])
        if suffix is None:
            suffix = {"counter": "_total", "histogram": "_bucket"}.get(type, "")
        names, values = tuple(labels), tuple(labels.values())
        made[pid](type, f"own_{type}", f"own_{type}{suffix}", names, values, "Own.", "livesum").inc(value)

    return count


def told_of(folder):
    return read(room._sum(folder, generate_latest).decode())


def test_what_the_dead_have_counted_is_kept_in_one_file(tmp_path, count):
    count(DEAD, "counter", 1, kind="a")
    count(DEAD, "counter", 2, kind="b")
    count(DEAD + 1, "counter", 3, kind="b")
    room._tidy(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"dead.json", "lock"}
    count(DEAD + 2, "counter", 10, kind="a")
    count(os.getpid(), "counter", 100, kind="a")
    told = told_of(tmp_path)
    assert (told["own_counter_total", (("kind", "a"),)], told["own_counter_total", (("kind", "b"),)]) == (111, 5)
    assert {file.name for file in tmp_path.glob("*.db")} == {f"counter_{os.getpid()}.db"}


def test_histograms_of_the_living_and_the_dead_are_one(tmp_path, count):
    for pid in (DEAD, DEAD + 1, os.getpid()):
        for le, value in (("+Inf", 1), ("0.5", 2), ("10.0", 4)):
            count(pid, "histogram", value, path="a", le=le)
            count(pid, "histogram", 1, path="b", le=le)
        for path in "ab":
            count(pid, "histogram", 1.5, "_sum", path=path)
    page = room._sum(tmp_path, encode_openmetrics).decode()
    (family,) = read_openmetrics(page)  # which wants the samples of one histogram side by side
    told = {(one.name, one.labels.get("path"), one.labels.get("le")): one.value for one in family.samples}
    assert [told["own_histogram_bucket", "a", le] for le in ("0.5", "10.0", "+Inf")] == [6, 18, 21]
    assert [told["own_histogram_count", path, None] for path in "ab"] == [21, 9]
    assert [told["own_histogram_sum", path, None] for path in "ab"] == [4.5, 4.5]


def test_what_the_dead_had_open_is_forgotten(tmp_path, count):
    count(DEAD, "gauge", 1)
    count(os.getpid(), "gauge", 5)
    assert told_of(tmp_path) == {("own_gauge", ()): 5}


def test_a_file_that_a_worker_has_just_made_holds_nobody_up(tmp_path, count):
    count(os.getpid(), "counter", 2)
    (tmp_path / f"histogram_{os.getpid()}.db").touch()
    (tmp_path / f"gauge_livesum_{os.getpid()}.db").touch()
    assert told_of(tmp_path) == {("own_counter_total", ()): 2}


def test_a_file_that_was_not_finished_holds_nobody_up(tmp_path, count, caplog):
    (tmp_path / f"counter_{DEAD}.db").touch()
    (tmp_path / f"counter_{DEAD + 1}.db").write_bytes(b"\xff\0\0\0\0\0\0\0\xff\0\0\0")
    count(DEAD, "histogram", 1, le="+Inf")
    room._tidy(tmp_path)
    assert list(tmp_path.glob("*.db")) == []
    assert told_of(tmp_path)["own_histogram_count", ()] == 1
    (record,) = caplog.records
    assert f"counter_{DEAD + 1}.db cannot be read" in record.getMessage()


def test_files_of_the_living_and_gauges_of_others_are_left_alone(tmp_path, count):
    count(os.getpid(), "counter", 1)
    (tmp_path / f"gauge_max_{DEAD}.db").touch()
    before = {file.name for file in tmp_path.glob("*.db")}
    room._tidy(tmp_path)
    assert {file.name for file in tmp_path.glob("*.db")} == before


WORKER = """
import os
from prometheus_client import Counter, Gauge, Histogram, Summary
Counter("own_counter", "Own.", ["kind"]).labels("a").inc(2)
Gauge("own_gauge", "Own.", multiprocess_mode="livesum").set(3)
histogram = Histogram("own_histogram", "Own.", buckets=(1, 2))
histogram.observe(0.5)
histogram.observe(1.5)
Summary("own_summary", "Own.").observe(4)
print(os.getpid())
"""


def test_files_of_prometheus_client_are_as_they_are_read_here(tmp_path):
    """Their names and their bytes are private to it; a version that changes them needs a change here."""
    surroundings = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", WORKER], env=surroundings, check=True, timeout=30, capture_output=True, text=True
    )
    pid = int(done.stdout)
    files = sorted(tmp_path.glob("*.db"))
    assert [file.name for file in files] == [
        f"counter_{pid}.db",
        f"gauge_livesum_{pid}.db",
        f"histogram_{pid}.db",
        f"summary_{pid}.db",
    ]
    assert all(room._has_begun(file) for file in files)
    read_back = {
        (sample.name, sample.labels.get("le") or sample.labels.get("kind")): sample.value
        for metric in room._read([str(file) for file in files])
        for sample in metric.samples
    }
    assert read_back == {
        ("own_counter_total", "a"): 2,
        ("own_gauge", None): 3,
        ("own_histogram_bucket", "1.0"): 1,
        ("own_histogram_bucket", "2.0"): 1,
        ("own_histogram_bucket", "+Inf"): 0,
        ("own_histogram_sum", None): 2,
        ("own_summary_count", None): 1,
        ("own_summary_sum", None): 4,
    }


def test_log_lines_that_were_dropped_are_counted(monkeypatch, registry):
    instruments = room._Instruments(registry)
    for dropped in (3, 3, 5):
        monkeypatch.setattr(room, "dropped_lines", lambda dropped=dropped: dropped)
        instruments.count_log_lines()
    assert read(generate_latest(registry).decode())["sanicish_dropped_log_lines_total", ()] == 5
