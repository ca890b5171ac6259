"""ASGI applications of others, served here: under a path, or as all there is.

What they are given looks like any ASGI server; what they send is an answer like any other, so that middleware, logs,
clocks and backpressure are those of everybody. Nothing of sockets or bytes of HTTP is known here.
"""

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from sanicish.constants import HTTP_METHODS, has_message_body
from sanicish.exceptions import ClientDisconnected, ContentLengthMismatch, ResponseError, ServerError
from sanicish.files import open_file
from sanicish.headers import Headers, promised_length
from sanicish.log import error_logger, logger
from sanicish.registry import Registry
from sanicish.request import Request
from sanicish.response import HTTPResponse, StreamingHTTPResponse

__all__ = ["Asgi", "is_asgi", "mount"]

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

_VERSIONS = {"version": "3.0", "spec_version": "2.4"}  # 2.4: send() raises OSError once the client is gone
# All that a parser takes for a method, and an application may answer; CONNECT asks for a tunnel (RFC 9110 9.3.6).
_MORE_METHODS = (
    "TRACE QUERY PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT MKCALENDAR ACL BIND UNBIND REBIND LINK "
    "UNLINK PURGE NOTIFY SUBSCRIBE UNSUBSCRIBE M-SEARCH MERGE CHECKOUT MKACTIVITY SOURCE"
)
_METHODS = (*HTTP_METHODS, *_MORE_METHODS.split())
_BELOW = "__below__"  # the parameter that takes what lies below a mount


def mount(registry: Registry, path: str, application: Asgi, name: str, options: dict[str, Any]) -> None:
    """Let an ASGI application answer ``path`` and all below it, and live as long as the server does.

    It is told of clients that leave, and not cancelled (``shield``), as is the custom of ASGI.
    """
    path = f"/{path.strip('/')}".rstrip("/")
    state: dict[str, Any] = {}
    life = _Life(application, state)
    registry.register_listener(life.start, "before_server_start")
    registry.register_listener(life.stop, "after_server_stop")
    host = Host(application, state, name)
    options = {"methods": _METHODS, "stream": True, "shield": True, "strict_slashes": True, "name": name, **options}
    if path:
        registry.add_route(host, path, **options)
    registry.add_route(host, f"{path}/<{_BELOW}:.*>", **options)


def is_asgi(found: Any) -> bool:
    """Whether something looks like an application of ASGI 3: a coroutine function of three arguments."""
    if not (inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(getattr(found, "__call__", None))):  # noqa: B004
        return False
    try:
        inspect.signature(found).bind({}, None, None)
    except (TypeError, ValueError):
        return False
    return not inspect.isclass(found)


class Host:
    """A handler that has an ASGI application answer."""

    def __init__(self, application: Asgi, state: dict[str, Any], name: str) -> None:
        self._application = application
        self._state = state
        self.__name__ = name

    async def __call__(self, request: Request, **values: str) -> HTTPResponse | None:
        return await _Call(request).run(self._application, _scope(request, self._state))


def _scope(request: Request, state: dict[str, Any]) -> Scope:
    assert request.uri_template is not None
    literal = request.uri_template.partition(f"<{_BELOW}:")[0]
    depth = literal.rstrip("/").count("/") + 1
    info = request.conn_info
    return {
        "type": "http",
        "asgi": _VERSIONS.copy(),
        "http_version": request.version,
        "method": request.method,
        "scheme": request.scheme,
        "path": unquote(request.path),
        "raw_path": request.path.encode("latin-1"),
        "query_string": request.query_string.encode("latin-1"),
        "root_path": unquote("/".join(request.path.split("/")[:depth])),
        "headers": request.raw_headers,
        "client": (request.remote_addr, 0)
        if request.remote_addr
        else (request.ip, request.port)
        if request.ip
        else None,
        "server": (info.server, info.server_port or None),
        "state": state.copy(),
        "extensions": {"http.response.pathsend": {}},
    }


class _Gone(OSError):
    """The client left, or has its answer; what ASGI 2.4 has ``send`` raise."""


class _Call:
    """One request and answer of an ASGI application: its ``receive`` and ``send``."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._start: tuple[int, Headers] | None = None  # the head, until there is something to send with it
        self._response: StreamingHTTPResponse | None = None  # that is written to, piece by piece
        self._whole: HTTPResponse | None = None  # or that is known as a whole
        self._body_ended = False
        self._complete = False
        self._ended = (
            asyncio.get_running_loop().create_future()
        )  # the answer is complete, or the application has returned
        self._over: asyncio.Event | None = None  # the answer is complete, or the client has left
        self._reading = asyncio.Lock()
        self._told = False  # send() has said that nobody listens

    async def run(self, application: Asgi, scope: Scope) -> HTTPResponse | None:
        """Call the application and wait for its answer; what it does after that it does beside the server.

        Gives the answer if it is whole; one in pieces has been written already.
        """
        coroutine: Any = application(scope, self.receive, self.send)
        task: asyncio.Task[None] = asyncio.create_task(coroutine, name="asgi")
        task.add_done_callback(self._end)
        try:
            await self._ended
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait((task,))
            raise
        if not task.done():
            name = f"asgi {self._request.method} {self._request.path}"
            self._request.app.add_task(_rest(task), name=name)
        elif self._complete:
            self._log_failure(task)
        else:
            self._failed(task)
        return self._whole

    def _end(self, task: object = None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def _log_failure(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            request = self._request
            error_logger.error("%s %s failed after its answer", request.method, request.path, exc_info=error)

    def _failed(self, task: asyncio.Task[None]) -> None:
        """Raise what is wrong with an application that has returned before its answer was complete."""
        if self._told or self._request.is_disconnected:
            if not task.cancelled():
                task.exception()  # of one that was told that the client is gone, whatever it is
            raise ClientDisconnected("the client is gone")
        task.result()
        if self._start is None and self._response is None:
            raise ServerError("the ASGI application returned without an answer")
        raise ResponseError("the ASGI application returned before its answer was complete")

    # What the application calls

    async def receive(self) -> Message:
        """The next of the request body, then that the client has left or has its answer."""
        async with self._reading:
            if not self._body_ended and not self._complete:
                stream = self._request.stream
                assert stream is not None
                try:
                    data = await stream.read()
                except ClientDisconnected:
                    return {"type": "http.disconnect"}
                self._body_ended = data is None or stream.at_end
                return {"type": "http.request", "body": data or b"", "more_body": not self._body_ended}
        if not self._complete and not self._request.is_disconnected:
            if self._over is None:
                self._over = asyncio.Event()
                self._request.on_disconnect(self._over.set)
            await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message; raises ``OSError`` when the client is gone, ``RuntimeError`` for one that has no place here."""
        kind = message["type"]
        if self._told or self._request.is_disconnected:
            raise self._gone()
        if self._complete:
            raise RuntimeError(f"{kind} was sent after the answer was complete")
        if kind == "http.response.start":
            if self._start is not None or self._response is not None:
                raise RuntimeError("the answer was started twice")
            self._start = message["status"], _fields(message)
            return
        if kind not in ("http.response.body", "http.response.pathsend"):
            raise RuntimeError(f"not a message of an answer that is known here: {kind!r}")
        if self._start is None and self._response is None:
            raise RuntimeError(f"{kind} was sent before http.response.start")
        try:
            if kind == "http.response.body":
                await self._send_body(message.get("body", b""), message.get("more_body", False))
            else:
                await self._send_path(message["path"])
        except ClientDisconnected:
            raise self._gone() from None

    def _gone(self) -> _Gone:
        self._told = True
        return _Gone("the client is gone")

    async def _send_body(self, data: bytes, more: bool) -> None:
        if self._response is None:
            if not more and self._request.method != "HEAD":
                self._take_whole(data)
                return
            self._response = await self._begin(None if more else len(data))
        head_only = self._request.method == "HEAD"
        if (data or more) and not head_only:
            await self._response.write(data)
        if not more or head_only:
            await self._end_answer(self._response)
        if more and head_only:
            self._told = True  # a body that nobody will see need not be made

    async def _send_path(self, path: str | os.PathLike[str]) -> None:
        descriptor, found = await open_file(path)
        try:
            if self._response is None:
                self._response = await self._begin(found.st_size)
            if self._request.method != "HEAD":
                await self._response.send_file(descriptor, 0, found.st_size)
        finally:
            os.close(descriptor)
        await self._end_answer(self._response)

    async def _begin(self, size: int | None) -> StreamingHTTPResponse:
        """The answer, its head still held; ``size`` is that of all there is to send, if that is known."""
        assert self._start is not None
        (status, headers), self._start = self._start, None
        if size is not None and has_message_body(status) and (size or self._request.method != "HEAD"):
            headers.setdefault("Content-Length", size)
        return await self._request.respond(StreamingHTTPResponse(None, status, headers, None))

    async def _end_answer(self, response: StreamingHTTPResponse) -> None:
        await response.eof()
        self._completed()

    def _completed(self) -> None:
        self._complete = True
        if self._over is not None:
            self._over.set()
        self._end()

    def _take_whole(self, data: bytes) -> None:
        assert self._start is not None
        (status, headers), self._start = self._start, None
        promised = promised_length(headers)
        if promised is not None and promised != len(data) and has_message_body(status):
            raise ContentLengthMismatch(f"{len(data)} bytes where Content-Length promised {promised}")
        self._whole = HTTPResponse(data, status, headers)
        self._completed()


def _fields(message: Message) -> Headers:
    """The fields of a head; raises ``ValueError`` for one that cannot be sent."""
    return Headers((str(name, "latin-1"), str(value, "latin-1")) for name, value in message.get("headers", ()))


async def _rest(task: asyncio.Task[None]) -> None:
    """What an application does after its answer."""
    await task


class _Life:
    """Lifespan: what an application does when the server starts and stops."""

    _told: asyncio.Queue[str]
    _answer: asyncio.Future[Message]

    def __init__(self, application: Asgi, state: dict[str, Any]) -> None:
        self._application = application
        self._state = state
        self._task: asyncio.Task[None] | None = None

    async def start(self, app: Any) -> None:
        """Let it start; raises ``ServerError`` if it says that it cannot. One without lifespan is served without."""
        self._state.clear()
        self._told = asyncio.Queue()
        coroutine: Any = self._application(
            {"type": "lifespan", "asgi": _VERSIONS.copy(), "state": self._state}, self._receive, self._send
        )
        self._task = task = asyncio.create_task(coroutine, name="asgi lifespan")
        answer = await self._ask("lifespan.startup", task)
        if answer is None:
            error = None if task.cancelled() else task.exception()
            logger.info("the ASGI application has no lifespan: %r", error)
            self._task = None
        elif answer["type"] == "lifespan.startup.failed":
            await asyncio.wait((task,))
            _retrieve(task)
            self._task = None
            raise ServerError(f"the ASGI application could not start: {answer.get('message', '')}")

    async def stop(self, app: Any) -> None:
        """Let it stop."""
        task, self._task = self._task, None
        if task is None:
            return
        answer = await self._ask("lifespan.shutdown", task)
        if answer is not None and answer["type"] == "lifespan.shutdown.failed":
            error_logger.error("the ASGI application could not stop: %s", answer.get("message", ""))
        await asyncio.wait((task,))
        _retrieve(task)

    async def _ask(self, what: str, task: asyncio.Task[None]) -> Message | None:
        """Its answer to an event; ``None`` if it has returned instead."""
        self._answer = asyncio.get_running_loop().create_future()
        self._told.put_nowait(what)
        await asyncio.wait((task, self._answer), return_when=asyncio.FIRST_COMPLETED)
        return self._answer.result() if self._answer.done() else None

    async def _receive(self) -> Message:
        return {"type": await self._told.get()}

    async def _send(self, message: Message) -> None:
        if not message["type"].startswith("lifespan."):
            raise RuntimeError(f"{message['type']} has no place in lifespan")
        if not self._answer.done():
            self._answer.set_result(message)


def _retrieve(task: asyncio.Task[None]) -> None:
    """Look at how it ended: what it failed with, it has said already."""
    if not task.cancelled() and task.exception() is not None:
        logger.debug("lifespan ended with %r", task.exception())
