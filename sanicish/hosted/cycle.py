"""One request to a hosted application and its response: the ``receive`` and ``send`` that the application is given."""

import asyncio
import os
import re
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from time import monotonic

from sanicish.constants import has_message_body
from sanicish.exceptions import ClientDisconnected, ContentLengthMismatch, ResponseError, SanicException, ServerError
from sanicish.headers import Headers, promised_length
from sanicish.hosted.lifespan import Lifespan
from sanicish.hosted.messages import Asgi, Message, Scope, call
from sanicish.log import error_logger, logger
from sanicish.request import Request
from sanicish.response import HTTPResponse, StreamingHTTPResponse
from sanicish.streams.files import open_file

__all__ = ["Cycle", "ResponseUnwanted"]

# Once nobody takes more of a response, an application that is told by receive() has so long to stop what sends; until
# then its messages are dropped. As in ASGI 2.3: frameworks cancel the sender, and count on nothing being raised.
_REACTION = 1.0  # seconds
_AT_ONCE = (
    20  # messages that are dropped without a pause: a generator is best cancelled where it waits, not in its yield
)
_PAUSE = 0.05  # seconds for each further one
_NOBODY = re.compile("(Disconnect(ed)?|RequestAborted)$")  # what frameworks call the exception for a client that left
_WATCHED, _UNWATCHED = "2.3", "2.4"  # spec_version; see Cycle._announce


class ResponseUnwanted(OSError):
    """Nobody takes more of the response: the client has left, or asked for its headers alone (ASGI 2.4, ``send``)."""


class Cycle:
    """One request and its response.

    With ``cancel_streams`` a response that is being streamed when the client leaves is cancelled, unless the
    application waits in ``receive`` or ``send``, which tell it. ``spec_version`` is the version of ASGI to announce.
    """

    def __init__(
        self, request: Request, scope: Scope, lifespan: Lifespan, cancel_streams: bool, spec_version: str | None
    ) -> None:
        assert request.stream is not None  # every mount is a streaming route
        self._request = request
        self._body = request.stream
        self._scope = scope
        self._lifespan = lifespan
        self._cancel_streams = cancel_streams
        self._spec_version = spec_version
        self._start: tuple[int, Headers] | None = None  # status and headers, until there is a body to send with them
        self._response: StreamingHTTPResponse | None = None  # the response, if it is written in pieces
        self._whole: HTTPResponse | None = None  # the response, if its body is one message
        self._refusal: SanicException | None = None  # why the rest of the request body cannot be read
        self._body_ended = False  # the last piece of the request body has been received
        self._complete = False  # the response needs no further message
        self._rest_dropped = False  # it was to HEAD, and more of its body would follow
        self._cut = False  # its client left before its end
        self._context = copy_context()  # the application runs in it
        self._ended = asyncio.get_running_loop().create_future()  # it is complete, or the application has returned
        self._over = asyncio.Event()  # it is complete, or the client has left
        self._watching = False
        self._reading = asyncio.Lock()
        self._receiving = 0  # calls of receive() that wait
        self._sending = 0  # calls of send() that wait
        self._informed = False  # receive() has returned http.disconnect
        self._stopped = False  # send() has raised ResponseUnwanted
        self._cancelled = False  # it took too long, or the server stops
        self._dropped = 0  # pieces of the body that nobody took
        self._dropping_since = 0.0  # on the monotonic clock
        self._announce()

    async def run(self, application: Asgi) -> HTTPResponse | None:
        """Call the application and wait for its response; work that it does after that goes on in the background.

        Returns a response whose body is one message; one in pieces has been written already.
        """
        name = f"asgi {self._request.method} {self._request.path}"
        coroutine = call(application, self._scope, self.receive, self.send)
        task = asyncio.create_task(coroutine, name=name, context=self._context)
        task.add_done_callback(self._end)
        try:
            await self._ended
            if self._rest_dropped and not (task.done() or self._receiving or self._informed):
                await asyncio.wait((task,), timeout=_REACTION)
                if self._rest_dropped and self._cancel_streams:
                    task.cancel()  # what it waits for is not the client
        except asyncio.CancelledError:
            await self._cancel(task)
            raise
        if not task.done():
            self._lifespan.keep(task, self._report, self._context)
        elif self._complete:
            self._context.run(self._report, task)
        else:
            self._enter_context()
            self._fail(task)
        if self._refusal is not None and self._response is None and self._whole is None:
            raise self._refusal
        if self._cut:
            raise ClientDisconnected("the client has left")
        return self._whole

    def _enter_context(self) -> None:
        """Take over what the application has set: ids for the log, and by which Sentry knows an error it has seen."""
        for variable, value in self._context.items():
            variable.set(value)

    def _end(self, task: object = None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    async def _cancel(self, task: asyncio.Task[None]) -> None:
        """Cancel the application and wait for it; raises what its cleanup fails with.

        One that waits in ``receive`` is informed first: Django and Quart end the tasks that they have made only then.
        What goes on after that, and after a second cancellation, ends with the server.
        """
        self._cancelled = True
        try:
            if self._receiving:
                self._over.set()
                self._body.fail(ClientDisconnected("the response is cancelled"))
                await asyncio.wait((task,), timeout=_REACTION)
            task.cancel()
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            task.cancel()
            self._lifespan.keep(task, self._report, self._context)
            raise
        self._enter_context()
        if not task.cancelled() and (error := task.exception()) is not None and not self._is_expected(error):
            raise error

    def _report(self, task: asyncio.Task[None]) -> None:
        """Report what the application failed with after its response."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._is_expected(error):
            request = self._request
            error_logger.error("%s %s failed after its response", request.method, request.path, exc_info=error)
            if request.app.signals:
                request.app.add_task(request.app.signals.failed(request, error))

    def _fail(self, task: asyncio.Task[None]) -> None:
        """Raise what is wrong with an application that has returned before its response was complete."""
        if self._refusal is not None:
            raise self._refusal
        error = None if task.cancelled() else task.exception()
        if (self._informed or self._nobody_is_there) and (error is None or self._is_expected(error)):
            raise ClientDisconnected("the client has left")
        task.result()
        if self._start is None and self._response is None:
            raise ServerError("the ASGI application returned without a response")
        raise ResponseError("the ASGI application returned before its response was complete")

    def _is_expected(self, error: BaseException) -> bool:
        """Whether an exception only says that nobody is there for the response; each framework has its own for that."""
        if not (self._informed or self._stopped or self._nobody_is_there):
            return False
        one: BaseException | None = error
        while one is not None:
            if isinstance(one, ResponseUnwanted) or _NOBODY.search(type(one).__name__):
                request = self._request
                logger.debug("%s %s ended as its client had left", request.method, request.path, exc_info=error)
                return True
            one = one.__cause__ or one.__context__
        return False

    # Clients that leave

    def _announce(self) -> None:
        """Say which version of ASGI this is.

        Seeing 2.3, Starlette calls ``receive`` while it streams, and ends the stream at ``http.disconnect``; seeing
        2.4, it relies on ``send``. As long as there is a request body, such a call would take it from its reader.
        """
        self._scope["asgi"]["spec_version"] = self._spec_version or (_WATCHED if self._body.at_end else _UNWATCHED)

    def _watch(self) -> None:
        if not self._watching:
            self._watching = True
            self._request.on_disconnect(self._client_left)

    def _client_left(self) -> None:
        """Let ``receive`` tell the application; cancel a stream that would learn nothing as long as it sends nothing."""
        self._over.set()
        told = self._receiving or self._sending or self._informed or self._stopped
        if self._cancel_streams and self._response is not None and not told:
            exchange = self._request._exchange
            exchange.rules = replace(exchange.rules, shielded=False)

    async def _drop(self) -> None:
        """Drop a piece of the body; raises ``ResponseUnwanted`` for an application that has no other way to stop."""
        now = monotonic()
        if not self._stopped and (self._receiving or self._informed):
            self._dropping_since = self._dropping_since or now
            self._dropped += 1
            if now - self._dropping_since < _REACTION:
                if self._dropped > _AT_ONCE:
                    await asyncio.sleep(_PAUSE)
                return
        self._stopped = True
        raise ResponseUnwanted("the client takes no more of this response")

    # What the application calls

    async def receive(self) -> Message:
        """The next piece of the request body; after its end wait, and tell when the client has left or has its response."""
        self._receiving += 1
        try:
            async with self._reading:
                if not (self._body_ended or self._complete or self._refusal):
                    return await self._receive_body()
            if not (self._complete or self._refusal or self._request.is_disconnected):
                self._watch()
                await self._over.wait()
        finally:
            self._receiving -= 1
        return self._disconnect()

    async def _receive_body(self) -> Message:
        try:
            data = await self._body.read()
        except ClientDisconnected:
            return self._disconnect()
        except SanicException as error:  # too large, too slow or broken; that is the response, whatever is sent
            self._refusal = error
            return self._disconnect()
        if data is None or self._body.at_end:
            self._body_ended = True
            self._announce()
        return {"type": "http.request", "body": data or b"", "more_body": not self._body_ended}

    def _disconnect(self) -> Message:
        self._informed = True
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message of the response.

        Raises ``ResponseUnwanted`` when the client has left and more of the body would follow, ``RuntimeError`` for a
        message that is out of place.
        """
        kind = message["type"]
        more = kind == "http.response.body" and bool(message.get("more_body", False))
        if self._rest_dropped:
            self._rest_dropped = more
            if more:
                await self._drop()
            return
        if kind == "http.response.early_hint" and self._start is None and self._response is None:
            self._request._exchange.inform(
                103, Headers([("Link", link.decode("latin-1")) for link in message["links"]])
            )
            return
        if self._complete:
            raise RuntimeError(f"{kind} was sent after the response was complete")
        if kind == "http.response.start":
            if self._start is not None or self._response is not None:
                raise RuntimeError("the response was started twice")
            self._start = message["status"], _headers(message)
            return
        if kind not in ("http.response.body", "http.response.pathsend"):
            raise RuntimeError(f"not a message of a response that is known here: {kind!r}")
        if self._start is None and self._response is None:
            raise RuntimeError(f"{kind} was sent before http.response.start")
        self._sending += 1
        try:
            await self._take(message, more)
        finally:
            self._sending -= 1

    @property
    def _nobody_is_there(self) -> bool:
        """Whether more of the body is of no use: the client has left, or the response is cut or an error page."""
        return (
            self._request.is_disconnected or self._cancelled or (self._refusal is not None and self._response is None)
        )

    async def _take(self, message: Message, more: bool) -> None:
        """Send a message of the body, or drop it when nobody is there.

        A response that is whole is sent all the same, for a client that has ended its side may wait for it. One in
        pieces is never ended then: some of it may have been dropped.
        """
        whole = not more and self._response is None and self._refusal is None
        if whole or not self._nobody_is_there:
            with suppress(ClientDisconnected):
                await self._send(message, more)
        if self._complete or not self._nobody_is_there:
            return
        if more:
            await self._drop()
        else:
            self._cut = self._refusal is None
            self._completed()

    async def _send(self, message: Message, more: bool) -> None:
        if message["type"] == "http.response.body":
            await self._send_body(message.get("body", b""), more)
        else:
            await self._send_path(message["path"])

    async def _send_body(self, data: bytes, more: bool) -> None:
        head_alone = self._request.method == "HEAD"
        if self._response is None:
            if not more and not head_alone:
                self._take_whole(data)
                return
            await self._begin(None if more else len(data))
        assert self._response is not None
        if (data or more) and not head_alone:
            await self._response.write(data)
        if head_alone or not more:
            await self._finish(self._response)
            self._rest_dropped = more

    async def _send_path(self, path: str | os.PathLike[str]) -> None:
        descriptor, found = await open_file(path)
        try:
            if self._response is None:
                await self._begin(found.st_size)
            assert self._response is not None
            if self._request.method != "HEAD":
                await self._response.send_file(descriptor, 0, found.st_size)
        finally:
            os.close(descriptor)
        await self._finish(self._response)

    async def _begin(self, size: int | None) -> None:
        """Begin a response in pieces, its headers still held; ``size`` is the length of its body, if that is known."""
        assert self._start is not None
        (status, headers), self._start = self._start, None
        if size is not None and has_message_body(status) and (size or self._request.method != "HEAD"):
            headers.setdefault("Content-Length", size)
        self._response = await self._request.respond(StreamingHTTPResponse(None, status, headers, None))
        self._watch()

    async def _finish(self, response: StreamingHTTPResponse) -> None:
        await response.eof()
        self._completed()

    def _completed(self) -> None:
        self._complete = True
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


def _headers(message: Message) -> Headers:
    """The headers of a response; raises ``ValueError`` for one that cannot be sent."""
    return Headers.from_bytes(message.get("headers", ()))
