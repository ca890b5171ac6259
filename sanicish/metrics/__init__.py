"""Counters, gauges and histograms of an application for Prometheus, right across workers; the extra ``metrics``.

Workers count into files of ``prometheus_client``'s multiprocess mode, whichever is asked adds them up. What the dead
have counted is kept in one file of ours, so that no sum goes down and no file is left for good.
"""

import asyncio
import fcntl
import json
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from sanicish.app import Sanic
from sanicish.blueprints import Blueprint
from sanicish.constants import HTTP_METHODS
from sanicish.exchange import Exchange
from sanicish.log import logger
from sanicish.log.queue import dropped_lines
from sanicish.request import Request
from sanicish.response import HTTPResponse
from sanicish.server import AsyncioServer

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.multiprocess import MultiProcessCollector
    from prometheus_client.registry import Collector
    from prometheus_client.samples import Sample
except ModuleNotFoundError as error:
    raise ImportError("metrics need prometheus-client: pip install 'sanicish[metrics]'") from error

__all__ = ["metrics"]

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_FOLDER = os.environ.get(_VARIABLE)  # of a worker; prometheus_client has looked when it was loaded, and only then

_DEAD = "dead.json"  # what the dead have counted, in the folder of the workers
_SECONDS = 1.0  # between two looks at what is open, of a worker whom nobody asks

# A stream may take hours, and so may its rows before the first.
_DURATIONS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200)
_FIRST_BYTES = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

Seen = tuple[int, int]
_NOTHING: Seen = (0, 0)


class _Instruments:
    """What is counted, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.exchanges = Counter(
            "sanicish_exchanges", "Exchanges that ended.", ("route", "method", "status", "outcome"), registry=registry
        )
        self.received = Counter("sanicish_received_bytes", "Bytes of request bodies.", ("route",), registry=registry)
        self.sent = Counter("sanicish_sent_bytes", "Bytes of response bodies.", ("route",), registry=registry)
        self.durations = Histogram(
            "sanicish_exchange_duration_seconds",
            "From the start of the handler to the end of the exchange.",
            ("route",),
            buckets=_DURATIONS,
            registry=registry,
        )
        self.first_bytes = Histogram(
            "sanicish_first_byte_seconds",
            "From the start of the handler to the head of the response.",
            ("route",),
            buckets=_FIRST_BYTES,
            registry=registry,
        )

        def gauge(name: str, told: str) -> Gauge:
            return Gauge(f"sanicish_{name}", told, registry=registry, multiprocess_mode="livesum")

        self.connections = gauge("connections", "Connections that are open.")
        self.open_exchanges = gauge("open_exchanges", "Exchanges that are open.")
        self.open_streams = gauge("open_streams", "Of these, answers that are written piece by piece.")
        self._log_lines = Counter(
            "sanicish_dropped_log_lines", "Log lines that could not be written in time.", registry=registry
        )
        self._dropped = 0  # of these, how many are counted

    def count_log_lines(self) -> None:
        """Count the log lines that were dropped since the last time."""
        dropped = dropped_lines()
        self._log_lines.inc(dropped - self._dropped)
        self._dropped = dropped


class _Meter:
    """Counts the exchanges of one application."""

    def __init__(self, app: Sanic, instruments: _Instruments) -> None:
        self._app = app
        self._gauges = instruments
        self._exchanges = cache(
            instruments.exchanges.labels
        )  # by route, method, status and outcome; the others by route
        self._received = cache(instruments.received.labels)
        self._sent = cache(instruments.sent.labels)
        self._durations = cache(instruments.durations.labels)
        self._first_bytes = cache(instruments.first_bytes.labels)
        self._open: dict[Exchange, Seen] = {}  # and how many bytes of each are counted, in and out

    def begin(self, exchange: Exchange) -> None:
        """An exchange begins."""
        self._open[exchange] = _NOTHING
        exchange.when_over(self._end)

    def _end(self, exchange: Exchange) -> None:
        now, head = monotonic(), exchange.head
        route = exchange.route_name
        method = head.method if head.method in HTTP_METHODS else "other"  # a client may invent any number of them
        self._exchanges(route, method, exchange.status or "", exchange.outcome).inc()
        self._count_bytes(route, exchange, self._open.pop(exchange, _NOTHING))
        self._durations(route).observe(now - exchange.started_at)
        if exchange.started:
            self._first_bytes(route).observe(max(0.0, (exchange.head_sent_at or now) - exchange.started_at))

    def _count_bytes(self, route: str, exchange: Exchange, seen: Seen) -> Seen:
        received, sent = exchange.body.received, exchange.bytes_sent
        if received > seen[0]:
            self._received(route).inc(received - seen[0])
        if sent > seen[1]:
            self._sent(route).inc(sent - seen[1])
        return received, sent

    def look(self) -> None:
        """Count what is open, and what it has moved so far."""
        for exchange, seen in self._open.items():
            if (exchange.body.received, exchange.bytes_sent) != seen:
                self._open[exchange] = self._count_bytes(exchange.route_name, exchange, seen)
        self._gauges.count_log_lines()
        self._gauges.connections.set(len(self._app.connections))
        self._gauges.open_exchanges.set(len(self._open))
        self._gauges.open_streams.set(sum(1 for exchange in self._open if exchange.streamed))

    async def look_now_and_then(self) -> None:
        """For the other workers, who cannot ask this one."""
        while True:
            self.look()
            await asyncio.sleep(_SECONDS)


_instruments: WeakKeyDictionary[CollectorRegistry, _Instruments] = WeakKeyDictionary()
_meters: WeakKeyDictionary[Sanic, _Meter] = WeakKeyDictionary()


def _meter(app: Sanic, registry: CollectorRegistry) -> _Meter:
    """The one that counts for an application, from its first server on."""
    if app not in _meters:
        if registry not in _instruments:
            _instruments[registry] = _Instruments(registry)
        _meters[app] = _Meter(app, _instruments[registry])
        app.watchers.append(_meters[app].begin)
    return _meters[app]


def metrics(
    url_prefix: str = "/metrics",
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    registry: CollectorRegistry = REGISTRY,
    name: str = "metrics",
) -> Blueprint:
    """A blueprint that counts the exchanges of its application and tells it: ``app.blueprint(metrics())``.

    They are told at ``url_prefix``, by the application or, with a ``port``, by a server of their own on ``host``. They
    stand in ``registry`` with whatever else it has; workers tell what all of them have counted in any registry.
    Raises ``OSError`` at the start if the address cannot be had.
    """
    told = Blueprint(name, url_prefix=url_prefix if port is None else None)
    if port is None:
        told.add_route(lambda request: _tell(request.app, registry, request), "/", name="tell")
    else:
        apart = _Apart(registry, url_prefix, host, port)
        told.register_listener(apart.start, "before_server_start")
        told.register_listener(apart.stop, "after_server_stop")

    async def start(app: Sanic) -> None:
        meter = _meter(app, registry)
        if _FOLDER is not None:
            await asyncio.to_thread(_tidy, Path(_FOLDER))
            app.add_task(meter.look_now_and_then, name="metrics")

    folder = _Folder()
    told.register_listener(start, "before_server_start")
    told.register_listener(folder.make, "main_process_start")
    told.register_listener(folder.remove, "main_process_stop")
    return told


async def _tell(app: Sanic, registry: CollectorRegistry, request: Request) -> HTTPResponse:
    """What has been counted, in the form that is asked for."""
    _meter(app, registry).look()
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    body = encode(registry) if _FOLDER is None else await asyncio.to_thread(_sum, Path(_FOLDER), encode)
    return HTTPResponse(body, content_type=content_type)


class _Apart:
    """A server for nothing but the metrics; all workers listen on its port, and whichever is asked tells of all."""

    def __init__(self, registry: CollectorRegistry, path: str, host: str, port: int) -> None:
        self._registry = registry
        self._path = path
        self._where = host, port
        self._server: AsyncioServer | None = None

    async def start(self, app: Sanic) -> None:
        """Listen."""
        alone = Sanic(f"{app.name} metrics", load_env=False, configure_logging=False, register=False)
        alone.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0.5
        alone.add_route(lambda request: _tell(app, self._registry, request), self._path, name="tell")
        options = {"reuse_port": True} if _FOLDER is not None else None
        self._server = await alone.create_server(*self._where, access_log=False, asyncio_server_kwargs=options)
        logger.info("metrics on %s%s", alone.serve_location, self._path)

    async def stop(self, app: Sanic) -> None:
        """Stop, after the application has."""
        if self._server is not None:
            await self._server.close()


# Files of workers


class _Folder:
    """Where workers count, made by the process that starts them; a folder of the user's own is left alone."""

    def __init__(self) -> None:
        self._made = ""

    async def make(self, app: Sanic) -> None:
        """Before there is a worker."""
        if _VARIABLE not in os.environ:
            self._made = os.environ[_VARIABLE] = tempfile.mkdtemp(prefix="sanicish-metrics-")

    async def remove(self, app: Sanic) -> None:
        """After the last."""
        if self._made:
            os.environ.pop(_VARIABLE, None)
            shutil.rmtree(self._made, ignore_errors=True)
            self._made = ""


def _sum(folder: Path, encode: Callable[[Any], bytes]) -> bytes:
    """The metrics of all workers, living and dead."""
    registry = CollectorRegistry()
    with _locked(folder):
        _tidy_locked(folder)
        files = [str(file) for file in folder.glob("*.db") if _has_begun(file)]
        counted = _Counted(_read(files))
        counted.add(_read_dead(folder))
        registry.register(counted)
        return encode(registry)


def _tidy(folder: Path) -> None:
    with _locked(folder):
        _tidy_locked(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Nobody else adds up or tidies meanwhile: what is being moved would be counted twice, or not at all."""
    with open(folder / "lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tidy_locked(folder: Path) -> None:
    """Add what dead workers have counted to one file; what they had open is no more."""
    dead, done = _Counted(_read_dead(folder)), []
    for file in folder.glob("*.db"):
        found = re.fullmatch(r"(counter|histogram|summary|gauge_live[a-z]*)_(\d+)\.db", file.name)
        if found is None or _is_alive(int(found[2])):
            continue
        if not found[1].startswith("gauge") and _has_begun(file):
            try:
                dead.add(_read([str(file)]))
            except (struct.error, RuntimeError) as error:  # its disk was full, for example
                logger.warning("what a worker has counted in %s cannot be read: %s", file.name, error)
        done.append(file)
    if done:
        dead.write(folder / _DEAD)
        for file in done:
            file.unlink(missing_ok=True)


def _has_begun(file: Path) -> bool:
    """Whether a worker has written to its file; between making it and that, prometheus_client cannot read it."""
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


def _read(files: list[str]) -> Iterable[Metric]:
    """What is counted in the files of workers; histograms are not accumulated."""
    found: Iterable[Metric] = MultiProcessCollector.merge(files, accumulate=False)  # type: ignore[no-untyped-call]
    return found


def _read_dead(folder: Path) -> Iterator[Metric]:
    """What dead workers have counted."""
    with suppress(FileNotFoundError):
        for name, help, type, samples in json.loads((folder / _DEAD).read_bytes()):
            metric = Metric(name, help, type)
            metric.samples = [Sample(sample, dict(labels), value) for sample, labels, value in samples]
            yield metric


Labels = tuple[tuple[str, str], ...]


class _Counted(Collector):
    """Metrics of several processes, added up; their histograms are accumulated when they are collected."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics: dict[str, Metric] = {}
        self._values: dict[str, dict[tuple[str, Labels], float]] = {}
        self.add(metrics)

    def add(self, metrics: Iterable[Metric]) -> None:
        """Add metrics whose histograms are not accumulated."""
        for metric in metrics:
            self._metrics.setdefault(metric.name, metric)
            values = self._values.setdefault(metric.name, {})
            for sample in metric.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                values[key] = values.get(key, 0.0) + sample.value

    def write(self, path: Path) -> None:
        """Keep them in a file, whole or not at all."""
        told = [
            (name, metric.documentation, metric.type, [(*key, value) for key, value in self._values[name].items()])
            for name, metric in self._metrics.items()
        ]
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(told))
        fresh.replace(path)

    def collect(self) -> Iterator[Metric]:
        """Each metric, its samples side by side that have the same labels."""
        for name, found in self._metrics.items():
            groups: dict[Labels, list[Sample]] = {}
            for (sample, labels), value in self._values[name].items():
                rest = tuple(label for label in labels if label[0] != "le") if found.type == "histogram" else labels
                groups.setdefault(rest, []).append(Sample(sample, dict(labels), value))
            metric = Metric(name, found.documentation, found.type)
            for samples in groups.values():
                metric.samples += _accumulated(name, samples) if found.type == "histogram" else samples
            yield metric


def _accumulated(name: str, samples: list[Sample]) -> Iterator[Sample]:
    """The samples of one histogram, where each bucket also counts what is in the smaller ones."""
    count, others = 0.0, []
    for sample in sorted(samples, key=lambda sample: float(sample.labels.get("le", "inf"))):
        if sample.name == f"{name}_bucket":
            count += sample.value
            yield sample._replace(value=count)
        else:
            others.append(sample)
    labels = {label: value for label, value in samples[0].labels.items() if label != "le"}
    yield Sample(f"{name}_count", labels, count)
    yield from others


def _is_alive(pid: int) -> bool:
    with suppress(OSError):  # there is none, or it is somebody else's by now
        os.kill(pid, 0)
        return True
    return False
