"""The exchanges that are open now, as data: what each is, how far it has come, and what it waits for.

All of it is read from what the server and its tasks know anyway, when somebody asks; nothing is kept for it.
"""

import gc
import heapq
from asyncio import Task
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import partial
from inspect import CO_GENERATOR
from pathlib import Path
from time import monotonic
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, NamedTuple, Protocol

from sanicish.config import Config
from sanicish.context import current_request
from sanicish.exchange import Exchange
from sanicish.http.forwarded import forwarded_client
from sanicish.log.places import is_own
from sanicish.streams.flow import FlowControl
from sanicish.streams.pulling import Pull, pulls_of_the_gone

__all__ = ["OpenStream", "Waiting", "open_streams"]


class Waiting(StrEnum):
    """What an exchange waits for."""

    SENDER = "client to send"
    READER = "client to read"
    HANDLER = "handler"
    GENERATOR = "sync generator"
    EVENT = "event"
    DATABASE = "database"
    CLEANUP = "clean-up"
    BLOCKED = "blocked thread"


class OpenStream(NamedTuple):
    """One exchange that is open.

    ``route`` is the name of its route, empty if there is none, and until the handler starts; ``peer`` the client that a trusted proxy names, else the
    peer's address and port. ``age`` is seconds since its handler began; ``bytes_in``
    and ``bytes_out`` count the bodies, ``unsent`` is how many of the bytes written wait in memory for the client,
    ``rate`` how many bytes a second have moved, both ways together, since it began. ``where`` is the place in the
    application's own code that waits (``shop.py:42 export``), empty if there is none.
    """

    route: str
    method: str
    path: str
    peer: str
    age: float
    bytes_in: int
    bytes_out: int
    unsent: int
    rate: float
    waits_for: Waiting
    where: str
    request_id: str | None


class OpenExchange(Protocol):
    """What is looked at of an open exchange: itself, the task of its handler, and how much waits for its client."""

    flow: FlowControl

    @property
    def exchange(self) -> Exchange | None: ...

    @property
    def task(self) -> Task[None] | None: ...


class Connection(Protocol):
    """What is looked at of a connection."""

    @property
    def handlers(self) -> Iterable[OpenExchange]: ...

    def unsent_of(self, exchange: Exchange, /) -> int: ...


class Application(Protocol):
    """What is asked of the application."""

    config: Config


def open_streams(connections: Iterable[Connection], app: Application, most: int | None = None) -> list[OpenStream]:
    """The exchanges on these connections, the oldest first, at ``most`` so many.

    Exchanges of ``app`` that are over, but whose sync generator still blocks a thread, are among them.
    """
    now = monotonic()
    looks: list[tuple[float, int, Callable[[], OpenStream]]] = []
    config = app.config
    for connection in connections:
        for handler in connection.handlers:
            if (exchange := handler.exchange) is not None:
                look = partial(_look, connection, handler, exchange, config, now)
                looks.append((exchange.started_at or now, len(looks), look))
    for pull in pulls_of_the_gone():
        if (request := pull.context.get(current_request)) is not None and request.app is app:
            looks.append((request._exchange.started_at or now, len(looks), partial(_look_back, pull, config, now)))
    return [look() for _, _, look in heapq.nsmallest(len(looks) if most is None else most, looks)]


def _look(connection: Connection, handler: OpenExchange, exchange: Exchange, config: Config, now: float) -> OpenStream:
    frames = list(_frames(handler.task))
    waits_for = _waits_for(handler.flow, exchange, frames)
    return _shown(exchange, config, now, connection.unsent_of(exchange), waits_for, _where(frames))


def _look_back(pull: Pull, config: Config, now: float) -> OpenStream:
    place = pull.place
    where = f"{Path(place.file).name}:{place.line} {place.function.rpartition('.')[2]}" if place else ""
    return _shown(pull.context[current_request]._exchange, config, now, 0, Waiting.BLOCKED, where)


def _shown(exchange: Exchange, config: Config, now: float, unsent: int, waits_for: Waiting, where: str) -> OpenStream:
    request_id = exchange.request_id or exchange.client_request_id(config.id_field)
    age = max(0.0, now - exchange.started_at) if exchange.started_at else 0.0
    moved = exchange.body.received + max(0, exchange.bytes_sent - unsent)
    return OpenStream(
        route=exchange.route_name,
        method=exchange.head.method,
        path=exchange.head.target.decode("latin-1"),
        peer=forwarded_client(exchange.head.fields, config) or exchange.conn.peer,
        age=round(age, 6),
        bytes_in=exchange.body.received,
        bytes_out=exchange.bytes_sent,
        unsent=unsent,
        rate=round(moved / age, 1) if age else 0.0,
        waits_for=waits_for,
        where=where,
        request_id=None if request_id is None else str(request_id),
    )


_PACKAGE = str(Path(__file__).parent.parent)
_PULLING = f"{_PACKAGE}/streams/pulling.py"

# Where the innermost code is that says it.
_PLACES = {
    _PULLING: Waiting.GENERATOR,
    f"{_PACKAGE}/channel.py": Waiting.EVENT,
}


def _waits_for(flow: FlowControl, exchange: Exchange, frames: list[FrameType]) -> Waiting:
    if exchange.cancel_reason is not None:
        return Waiting.CLEANUP
    if exchange.body.waiting:
        return Waiting.SENDER
    if flow.paused:
        return Waiting.READER
    for frame in reversed(frames):
        file = frame.f_code.co_filename
        if file in _PLACES:
            return _PLACES[file]
        if "/asyncpg/" in file:
            return Waiting.DATABASE
        if _is_own(file) and not frame.f_code.co_flags & CO_GENERATOR:
            break
    return Waiting.HANDLER


def _is_own(file: str) -> bool:
    """Whether it is a file, and the application's."""
    return not file.startswith("<") and is_own(file)


def _where(frames: list[FrameType]) -> str:
    for frame in reversed(frames):
        code = frame.f_code
        if _is_own(code.co_filename):
            return f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_name}"
    return ""


def _frames(awaited: Any) -> Iterator[FrameType]:
    """The frames of what waits, the outermost first; through generators and tasks that are waited for."""
    for _ in range(_DEEPEST):
        if isinstance(awaited, CoroutineType):
            frame, awaited = awaited.cr_frame, awaited.cr_await
        elif isinstance(awaited, AsyncGeneratorType):
            frame, awaited = awaited.ag_frame, awaited.ag_await
        elif isinstance(awaited, GeneratorType):
            frame, awaited = awaited.gi_frame, awaited.gi_yieldfrom
        else:
            # What stands between two of them (the next step of an async generator, the wait for a task) does not
            # tell its inner one to Python, but to the garbage collector.
            inner = (awaited.get_coro(),) if isinstance(awaited, Task) else gc.get_referents(awaited)
            awaited = next((one for one in inner if isinstance(one, _INNER)), None)
            if awaited is None:
                return
            continue
        if frame is not None:
            yield frame
            if frame.f_code.co_filename == _PULLING and isinstance(pull := frame.f_locals.get("self"), Pull):
                awaited = pull.iterator  # in a thread, which is no reason not to say where


_DEEPEST = 200  # of coroutines in coroutines
_INNER = (CoroutineType, AsyncGeneratorType, GeneratorType, Task)
