"""How one exchange is answered: middleware, handler, response, and what is said when one of them fails.

It never knows a socket, and of the application only what ``Application`` names.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

from sanicish.compression.coders import named_encodings
from sanicish.compression.exchange import Compression
from sanicish.config import Config
from sanicish.context import current_request
from sanicish.exceptions import (
    ClientDisconnected,
    InvalidSetting,
    ResponseCut,
    SanicException,
    ServerError,
    ServiceUnavailable,
)
from sanicish.exchange import Exchange, Outcome, Rules
from sanicish.handlers import ErrorHandler
from sanicish.interruption import is_cancellation, is_interruption
from sanicish.log import error_logger, logger
from sanicish.request import Request
from sanicish.response import BaseHTTPResponse, HTTPResponse, StreamingHTTPResponse
from sanicish.response.conversion import InvalidReturn, as_response
from sanicish.router import Route, Router
from sanicish.signals import Signals
from sanicish.streams.incoming import EMPTY
from sanicish.streams.threads import threads

__all__ = ["Application", "answer", "pass_response", "prepare"]

Middleware = Callable[..., Any]


class Application(Protocol):
    """What answering needs of the application."""

    config: Config
    router: Router
    error_handler: ErrorHandler
    request_class: type[Request]
    early_middleware: list[Middleware]
    request_middleware: list[Middleware]
    response_middleware: list[Middleware]
    compression: Compression | None
    signals: Signals

    def compress(self, *encodings: str) -> None:
        """Compress answers for clients that take it."""


def prepare(app: Application) -> None:
    """Take what the settings ask of every response, before the first one is given."""
    threads.most, threads.patience = app.config["SYNC_THREADS"], app.config["SYNC_THREAD_TIMEOUT"]
    if app.config["REQUEST_ID_IN_RESPONSE"] and _tell_id not in app.response_middleware:
        app.response_middleware.append(_tell_id)
    if app.config["COMPRESS"] and app.compression is None:
        try:
            app.compress(*named_encodings(app.config["COMPRESS"]))
        except ValueError as error:
            raise InvalidSetting(f"the setting COMPRESS: {error}") from None


def _tell_id(request: Request, response: Any) -> None:
    name = request.app.config["REQUEST_ID_HEADER"]
    if name and name not in response.headers:
        response.headers[name] = str(request.id)


async def answer(app: Application, exchange: Exchange) -> None:
    """Answer one exchange, whatever happens."""
    request = app.request_class(exchange, app)
    current_request.set(request)  # in the task of this exchange, so that nobody else sees it
    try:
        try:
            route, values = app.router.match(
                request.method, request.path, _host(request) if app.router.has_hosts else None
            )
        except SanicException as error:
            await _answer_without_route(app, request, exchange, error)
            return
        request.route = route
        exchange.route_name = route.name
        request.match_info = values
        if "%" in request.path:  # middleware has to see the path that was matched: /%61dmin is /admin
            request.path = route.spelled(request.path)
        response = None
        if app.early_middleware or route.early_middleware:
            response = await _first((*app.early_middleware, *route.early_middleware), request)
        if response is None:
            if route.has_rules or not app.config["CANCEL_ON_DISCONNECT"]:
                _apply_rules(app, route, exchange)
            if route.stream:
                request.stream = exchange.body
                _limit_stream(route, exchange)
            elif exchange.body is not EMPTY and not route.options.ignore_body:
                await request.receive_body()
            if app.request_middleware or route.request_middleware:
                response = await _first((*app.request_middleware, *route.request_middleware), request)
        if response is None:
            response = route.handler(request, **values)
            if type(response) is not HTTPResponse and hasattr(response, "__await__"):
                response = await response
        if (
            type(response) is HTTPResponse
            and not (app.response_middleware or route.response_middleware)
            and request._response is None
        ):
            response.send_to(exchange)  # nobody else is to be asked
        else:
            await _send(app, request, exchange, response)
    except asyncio.CancelledError as error:
        if exchange.outcome is Outcome.COMPLETED:
            return  # HEAD, whose answer is complete before its handler is
        if exchange.cancel_reason == "timeout" and not exchange.started:
            await _time_out(app, request, exchange)
        elif exchange.cancel_reason is None and not is_cancellation(error):
            await _fail(app, request, exchange, _not_cancelled(app, request, error))
        else:
            raise
    except ClientDisconnected as error:
        logger.debug("%s %s: %s", request.method, request.path, error)
        exchange.abort(Outcome.DISCONNECT)
    except BaseException as error:
        if is_interruption(error):
            raise
        await _fail(app, request, exchange, error)


def _not_cancelled(app: Application, request: Request, error: asyncio.CancelledError) -> BaseException:
    """What a ``CancelledError`` says that nobody has asked for."""
    if app.error_handler.lookup(error, request.endpoint) is not None:
        return error
    said = ServerError("something the handler waited for was cancelled")
    said.__cause__ = error
    return said


async def _answer_without_route(app: Application, request: Request, exchange: Exchange, error: SanicException) -> None:
    """Middleware may have a response where no route is."""
    if request.raw_url == b"*":
        exchange.send_whole(200, None, None, b"")
        return
    response = await _first((*app.early_middleware, *app.request_middleware), request)
    if response is None:
        raise error
    await _send(app, request, exchange, response)


def _host(request: Request) -> str:
    """The host to route by: what the client asked for, never what ``SERVER_NAME`` says of every request."""
    host: str = request.forwarded.get("host") or request.headers.get("host", "")
    return host


def _apply_rules(app: Application, route: Route, exchange: Exchange) -> None:
    """What the route says of timeouts and of clients that leave, where it differs from the settings."""
    exchange.rules = Rules(
        route.timeouts,
        shielded=route.options.shield or not (app.config["CANCEL_ON_DISCONNECT"] or route.stream),
        half_close=route.options.half_close,
    )


def _limit_stream(route: Route, exchange: Exchange) -> None:
    """The size limit of a streamed body; one that the head announces is refused before a byte was read."""
    if exchange.body is not EMPTY:
        limit = route.options.max_body_size
        exchange.body.limit(limit if limit is not None else exchange.body.request_max_size)


async def _first(middleware: Iterable[Middleware], request: Request) -> Any:
    """Call request middleware until one answers."""
    for function in middleware:
        response = function(request)
        if hasattr(response, "__await__"):
            response = await response
        if response:  # a false value is none, as in Sanic
            return response
    return None


async def pass_response(app: Application, request: Request, response: Any) -> Any:
    """Let response middleware see, change or replace a response before its head leaves.

    One that fails is logged and reported, and the response is sent all the same; a false value changes nothing.
    """
    own = request.route.response_middleware if request.route is not None else ()
    for function in (*own, *app.response_middleware):
        try:
            changed = await _passed(app, request, response, function)
            changed = _checked(request, changed, function) if changed and changed is not response else None
        except BaseException:
            await _discard(response, request._exchange)
            raise
        if changed is not None:
            await _discard(response, request._exchange)
            response = changed
    return response


async def _passed(app: Application, request: Request, response: Any, function: Middleware) -> Any:
    """What one response middleware returns; nothing if it fails."""
    try:
        changed = function(request, response)
        if hasattr(changed, "__await__"):
            changed = await changed
    except asyncio.CancelledError as error:
        if is_cancellation(error):
            raise
        raise ServiceUnavailable("response middleware was cancelled") from error
    except ClientDisconnected:
        raise
    except BaseException as error:
        if is_interruption(error):
            raise
        error_logger.exception("the response middleware %s failed; the response is sent", _name(function))
        if app.signals:
            await app.signals.failed(request, error)
        return None
    return changed


async def _discard(response: Any, exchange: Exchange) -> None:
    """Close what a response that will not be sent would have streamed."""
    if isinstance(response, BaseHTTPResponse):
        response.follow(exchange)
    if isinstance(response, StreamingHTTPResponse):
        await response.discard()


async def _send(app: Application, request: Request, exchange: Exchange, response: Any, passed: bool = False) -> None:
    """Send what was returned; ``passed`` says that response middleware has run already."""
    begun = request._response
    if begun is not None:  # the handler answered by respond()
        if response is not None and response is not begun:
            error_logger.error("%s returned a response although it had answered by respond()", request.endpoint)
        if begun.streaming_fn is not None:
            await begun.streaming_fn(begun)
        await begun.eof()
        return
    if not isinstance(response, BaseHTTPResponse):
        response = _checked(request, response, None)
    route = request.route
    if not passed and (app.response_middleware or (route is not None and route.response_middleware)):
        response = await pass_response(app, request, response)
    if isinstance(response, HTTPResponse):
        response.send_to(exchange)
    else:
        if exchange.rules.shielded and not (route is not None and route.options.shield):
            exchange.rules = replace(exchange.rules, shielded=False)  # only a route keeps a stream running for nobody
        await response.stream_to(exchange)


def _name(middleware: Middleware) -> Any:
    return getattr(middleware, "__name__", middleware)


def _checked(request: Request, value: Any, middleware: Middleware | None) -> BaseHTTPResponse:
    if isinstance(value, BaseHTTPResponse):
        return value
    try:
        return as_response(value, request.route is not None and request.route.options.inline)
    except InvalidReturn as error:
        where = request.endpoint if middleware is None else _name(middleware)
        raise ServerError(f"Invalid response type {error.what} from {where} {error.hint}") from None


async def _fail(
    app: Application, request: Request, exchange: Exchange, error: BaseException, *, passed: bool = False
) -> None:
    """Answer an error; one that comes after the head can only be shown by cutting the response."""
    if app.signals and not _was_reported(error):
        await app.signals.failed(request, error)
    if exchange.started:
        _cut(app, request, exchange, error)
        return
    request._response = None
    try:
        response = await app.error_handler.response(request, error)
        await _send(app, request, exchange, response, passed)
    except ClientDisconnected:
        exchange.abort(Outcome.DISCONNECT)
    except BaseException as failure:
        if is_interruption(failure):
            raise
        if exchange.outcome is not Outcome.COMPLETED:  # as for HEAD, before its page is
            _cut(app, request, exchange, failure)


async def _time_out(app: Application, request: Request, exchange: Exchange) -> None:
    """Answer a request whose handler was cancelled because it took too long."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()  # it goes on with the page, and may be cancelled again
    # What respond() has begun has passed response middleware, which counts, times and closes once for a request.
    await _fail(app, request, exchange, ServiceUnavailable("Response Timeout"), passed=request.responded)


def _was_reported(error: BaseException) -> bool:
    """Whether an application of ours that is hosted here has logged it; what wraps it may have put it into a group."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(ResponseCut)[1] is None
    return isinstance(error, ResponseCut)


def _cut(app: Application, request: Request, exchange: Exchange, error: BaseException) -> None:
    """End a response that failed: by a page if nothing of it has left, else without an end."""
    if not exchange.started:
        app.error_handler.log(request, error)
        app.error_handler.default(request, error).send_to(exchange)
        return
    if not _was_reported(error):
        ended = exchange.outcome is not None
        error_logger.error(
            "%s %s failed %s",
            request.method,
            request.path,
            "after its response" if ended else "after its response had begun; it was cut",
            exc_info=error,
        )
    exchange.abort(Outcome.FAILED)
