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

from sanicish.context import current_request
from sanicish.exchange import Exchange
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

    ``route`` is the name of its route, empty if there is none; ``peer`` the client that a trusted proxy names, else the
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


class Connection(Protocol):
    """What is looked at of a connection."""

    flow: FlowControl

    @property
    def exchange(self) -> Exchange | None: ...

    @property
    def unsent(self) -> int: ...

    @property
    def task(self) -> Task[None] | None: ...


# Route, peer and id of an exchange.
Name = Callable[[Exchange], tuple[str, str, str | None]]


def open_streams(
    connections: Iterable[Connection], name: Name, most: int | None = None, app: Any = None
) -> list[OpenStream]:
    """The exchanges on these connections, the oldest first, at ``most`` so many.

    Exchanges of ``app`` that are over, but whose sync generator still blocks a thread, are among them.
    """
    now = monotonic()
    looks: list[tuple[float, int, Callable[[], OpenStream]]] = []
    for connection in connections:
        if (exchange := connection.exchange) is not None:
            looks.append((exchange.began or now, len(looks), partial(_look, connection, exchange, name, now)))
    for pull in pulls_of_the_gone():
        if (request := pull.context.get(current_request)) is not None and request.app is app:
            looks.append((request._exchange.began or now, len(looks), partial(_look_back, pull, name, now)))
    return [look() for _, _, look in heapq.nsmallest(len(looks) if most is None else most, looks)]


def _look(connection: Connection, exchange: Exchange, name: Name, now: float) -> OpenStream:
    frames = list(_frames(connection.task))
    waits_for = _waits_for(connection, exchange, frames)
    return _told(exchange, name, now, connection.unsent, waits_for, _where(frames))


def _look_back(pull: Pull, name: Name, now: float) -> OpenStream:
    place = pull.place
    where = f"{Path(place.file).name}:{place.line} {place.function.rpartition('.')[2]}" if place else ""
    return _told(pull.context[current_request]._exchange, name, now, 0, Waiting.BLOCKED, where)


def _told(exchange: Exchange, name: Name, now: float, unsent: int, waits_for: Waiting, where: str) -> OpenStream:
    route, peer, request_id = name(exchange)
    age = max(0.0, now - exchange.began) if exchange.began else 0.0
    moved = exchange.body.received + max(0, exchange.bytes_sent - unsent)
    return OpenStream(
        route=route,
        method=exchange.head.method,
        path=exchange.head.target.decode("latin-1"),
        peer=peer,
        age=round(age, 6),
        bytes_in=exchange.body.received,
        bytes_out=exchange.bytes_sent,
        unsent=unsent,
        rate=round(moved / age, 1) if age else 0.0,
        waits_for=waits_for,
        where=where,
        request_id=request_id,
    )


_PACKAGE = str(Path(__file__).parent.parent)
_PULLING = f"{_PACKAGE}/streams/pulling.py"

# Where the innermost code is that says it.
_PLACES = {
    _PULLING: Waiting.GENERATOR,
    f"{_PACKAGE}/channel.py": Waiting.EVENT,
}


def _waits_for(connection: Connection, exchange: Exchange, frames: list[FrameType]) -> Waiting:
    if exchange.cancel_reason is not None:
        return Waiting.CLEANUP
    if exchange.body.waiting:
        return Waiting.SENDER
    if connection.flow.paused:
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
