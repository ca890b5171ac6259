"""An exception becomes a response: by the application's own handlers, or as a page in html, json or text."""

import html
import inspect
import json
import traceback
from collections.abc import Callable
from typing import Any

from sanicish.constants import reason
from sanicish.exceptions import ContentRangeError, HeaderNotFound, InvalidRangeType, SanicException
from sanicish.log import error_logger
from sanicish.request import Request
from sanicish.response import HTTPResponse

__all__ = ["ContentRangeHandler", "ErrorHandler"]

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:10vh auto;padding:0 1rem}}
h1{{font-size:1.5rem}}pre{{overflow:auto;padding:1rem;border:1px solid #8884;border-radius:6px;font-size:.85rem}}
</style></head><body><h1>{title}</h1><p>{message}</p>{detail}</body></html>
"""


class ErrorHandler:
    """Finds who answers for an exception; what nobody answers for becomes a page.

    Handlers are found by class, the nearest one in the exception's own order of bases. A blueprint's handlers count
    for its own routes only.
    """

    def __init__(self) -> None:
        self._handlers: dict[tuple[type[BaseException], str | None], Callable[..., Any]] = {}

    def add(
        self, exception: type[BaseException], handler: Callable[..., Any], route_names: list[str] | None = None
    ) -> None:
        """Let ``handler(request, exception)`` answer for a class of exceptions, everywhere or for some routes."""
        for name in route_names if route_names is not None else [None]:
            self._handlers[exception, name] = handler

    def lookup(self, exception: BaseException, route_name: str | None = None) -> Callable[..., Any] | None:
        """The handler for an exception, ``None`` if there is none."""
        for cls in type(exception).__mro__:
            for name in (route_name, None) if route_name is not None else (None,):
                handler = self._handlers.get((cls, name))
                if handler is not None:
                    return handler
        return None

    async def response(self, request: Request, exception: Exception) -> Any:
        """What to answer; a handler that fails is logged, and its failure answered by the page."""
        handler = self.lookup(exception, request.endpoint)
        if handler is None:
            self.log(request, exception)
            return self.default(request, exception)
        try:
            answer = handler(request, exception)
            if inspect.isawaitable(answer):
                answer = await answer
        except Exception as error:
            self.log(request, error)
            return self.default(request, error)
        if answer is None:
            self.log(request, exception)
            return self.default(request, exception)
        return answer

    def log(self, request: Request, exception: BaseException) -> None:
        """Write an exception to the error log, unless it is a quiet one."""
        if not getattr(exception, "quiet", False):
            error_logger.error(
                "Exception occurred while handling uri: %r",
                request.url,
                exc_info=(type(exception), exception, exception.__traceback__),
            )

    def default(self, request: Request, exception: Exception) -> HTTPResponse:
        """The page for an exception, in the form the client would rather have.

        The text of an exception that names no status is for the log; the client sees it in debug mode only.
        """
        known = isinstance(exception, SanicException)
        status: int = getattr(exception, "status_code", 500) if known else 500
        debug = bool(getattr(request.app, "debug", False))
        message = str(exception) if known or debug else "The server failed to answer this request."
        trace = ""
        if debug and status >= 500:
            trace = "".join(traceback.format_exception(exception))
        headers = dict(exception.headers) if isinstance(exception, SanicException) else {}
        form = _form(request)
        title = f"{status} {reason(status)}"
        if form == "json":
            told: dict[str, Any] = {"status": status, "description": reason(status), "message": message}
            if trace:
                told["trace"] = trace.splitlines()
            return HTTPResponse(json.dumps(told), status, headers, "application/json")
        if form == "html":
            detail = f"<pre>{html.escape(trace)}</pre>" if trace else ""
            page = _PAGE.format(title=html.escape(title), message=html.escape(message), detail=detail)
            return HTTPResponse(page, status, headers, "text/html; charset=utf-8")
        body = f"{title}\n{message}\n" + (f"\n{trace}" if trace else "")
        return HTTPResponse(body, status, headers, "text/plain; charset=utf-8")


def _form(request: Request) -> str:
    """``html``, ``json`` or ``text``: the route's or the settings' choice, or the client's."""
    form = request.route.options.error_format if request.route is not None else None
    form = form or request.app.config.get("FALLBACK_ERROR_FORMAT", "auto")
    if form in ("html", "json", "text"):
        return str(form)
    best, weight = "text", 0.0
    for part in request.accept.split(","):
        media, *parameters = [piece.strip().lower() for piece in part.split(";")]
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        found = {
            "text/html": "html",
            "application/json": "json",
            "application/problem+json": "json",
            "text/plain": "text",
        }.get(media)
        if found is not None and quality > weight:
            best, weight = found, quality
    if not weight and request.headers.get("content-type", "").startswith("application/json"):
        return "json"
    return best


class ContentRangeHandler:
    """The one range a request asks of a file: ``start``, ``end``, ``size`` and ``total`` in bytes (Sanic's class)."""

    __slots__ = ("end", "headers", "size", "start", "total")

    def __init__(self, request: Request, stats: Any) -> None:
        self.total: int = stats.st_size
        text: str | None = request.headers.get("range")
        if text is None:
            raise HeaderNotFound("Range Header Not Found")
        unit, _, value = (piece.strip() for piece in text.partition("="))
        if unit != "bytes":
            raise InvalidRangeType(f"{unit} is not a valid Range Type", self)
        first, _, last = (piece.strip() for piece in value.partition("-"))
        if not (first or last) or not (first + last).isdigit():
            raise ContentRangeError("the range cannot be read", self)
        if first:
            self.start = int(first)
            self.end = min(int(last), self.total - 1) if last else self.total - 1
        else:
            self.start = max(0, self.total - int(last))
            self.end = self.total - 1
        if self.start > self.end:
            raise ContentRangeError("Invalid for Content Range parameters", self)
        self.size = self.end - self.start + 1
        self.headers = {"Content-Range": f"bytes {self.start}-{self.end}/{self.total}"}

    def __bool__(self) -> bool:
        return True
