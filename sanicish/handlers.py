"""An exception becomes a response: by the application's own handlers, or as a page in html, json or text."""

import html
import inspect
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from sanicish.constants import reason
from sanicish.debug.hints import explain
from sanicish.debug.masks import Mask
from sanicish.debug.page import error_page
from sanicish.exceptions import ContentRangeError, HeaderNotFound, InvalidRangeType, SanicException
from sanicish.headers import Headers
from sanicish.http.negotiation import weight_of
from sanicish.http.ranges import position
from sanicish.interruption import is_interruption
from sanicish.log import error_logger
from sanicish.request import Request
from sanicish.response import HTTPResponse
from sanicish.response.formats import json_of_anything

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

    async def response(self, request: Request, exception: BaseException) -> Any:
        """What to answer; a handler that fails is logged, and its failure answered by the page."""
        handler = self.lookup(exception, request.endpoint)
        if handler is None:
            self.log(request, exception)
            return self.default(request, exception)
        try:
            answer = handler(request, exception)
            if inspect.isawaitable(answer):
                answer = await answer
        except BaseException as error:
            if is_interruption(error):
                raise
            self.log(request, error)
            return self.default(request, error)
        if answer is None:
            self.log(request, exception)
            return self.default(request, exception)
        return answer

    def log(self, request: Request, exception: BaseException) -> None:
        """Write an exception to the error log, unless it is a quiet one."""
        if not getattr(exception, "quiet", False):
            explain(exception)
            error_logger.error(
                "Exception occurred while handling uri: %r",
                request.url,
                exc_info=(type(exception), exception, exception.__traceback__),
            )

    def default(self, request: Request, exception: BaseException) -> HTTPResponse:
        """The page for an exception, in the form the client would rather have.

        The text of an exception that names no status is for the log; the client sees it in debug mode only.
        """
        known = exception if isinstance(exception, SanicException) else None
        status = known.status_code if known else 500
        debug = bool(getattr(request.app, "debug", False))
        message = _sentence(exception) if known or debug else "The server failed to answer this request."
        details: dict[str, Mapping[str, object]] = {}
        if known and known.context:
            details["context"] = known.context
        if known and known.extra and debug:
            details["extra"] = known.extra
        form = _form(request)
        headers = Headers(known.headers if known else None)
        headers.setdefault("X-Content-Type-Options", "nosniff")  # a page may quote what the client sent
        if not debug or status < 500:
            body, content_type = _PAGES[form](status, message, details, "")
            return HTTPResponse(body, status, headers, content_type)
        line, fields = f"{request.method} {request.raw_url.decode('latin-1')}", list(request.headers.items())
        if form == "html":
            page = error_page(f"{status} {reason(status)}", exception, line, fields, _lines(details))
            return HTTPResponse(page, status, headers, "text/html; charset=utf-8")
        mask = Mask(fields, line)
        details["request"] = {"line": mask.text(line), **dict(mask.fields(fields))}
        trace = mask.text("".join(traceback.format_exception(exception)))
        body, content_type = _PAGES[form](status, mask.text(message), details, trace)
        return HTTPResponse(body, status, headers, content_type)


def _sentence(exception: BaseException) -> str:
    """The text of an exception, also of one whose class cannot say it."""
    try:
        return str(exception)
    except Exception:
        return type(exception).__name__


def _html_page(status: int, message: str, details: Mapping[str, Mapping[str, object]], _: str) -> tuple[str, str]:
    told = _lines(details)
    page = _PAGE.format(
        title=html.escape(f"{status} {reason(status)}"),
        message=html.escape(message),
        detail=f"<pre>{html.escape(told)}</pre>" if told else "",
    )
    return page, "text/html; charset=utf-8"


def _json_page(status: int, message: str, details: Mapping[str, Mapping[str, object]], trace: str) -> tuple[str, str]:
    told: dict[str, Any] = {"status": status, "description": reason(status), "message": message, **details}
    if trace:
        told["trace"] = trace.splitlines()
    return json_of_anything(told), "application/json"


def _text_page(status: int, message: str, details: Mapping[str, Mapping[str, object]], trace: str) -> tuple[str, str]:
    more = [text for text in (_lines(details), trace) if text]
    return "\n".join([f"{status} {reason(status)}", message, *more, ""]), "text/plain; charset=utf-8"


_PAGES = {"html": _html_page, "json": _json_page, "text": _text_page}


def _lines(details: Mapping[str, Mapping[str, object]]) -> str:
    return "\n".join(f"{name}: {value}" for detail in details.values() for name, value in detail.items())


_FORMS = {"text/html": "html", "application/xhtml+xml": "html", "application/json": "json", "text/plain": "text"}


def _form(request: Request) -> str:
    """``html``, ``json`` or ``text``: the route's or the settings' choice, or the client's."""
    form = request.route.options.error_format if request.route is not None else None
    form = form or request.app.config.get("FALLBACK_ERROR_FORMAT", "auto")
    if form in _PAGES:
        return str(form)
    best, weight = "text", 0.0
    for part in request.accept.split(","):
        media, *parameters = [piece.strip().lower() for piece in part.split(";")]
        found = _FORMS.get(media) or ("json" if media.endswith("+json") else None)
        quality = weight_of(parameters)
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
        if not (first + last).isascii() or not (first + last).isdigit():
            raise ContentRangeError("the range cannot be read", self)
        if first:
            self.start = position(first)
            self.end = min(position(last), self.total - 1) if last else self.total - 1
        else:
            self.start = max(0, self.total - position(last))
            self.end = self.total - 1
        if self.start > self.end:
            raise ContentRangeError("Invalid for Content Range parameters", self)
        self.size = self.end - self.start + 1
        self.headers = {"Content-Range": f"bytes {self.start}-{self.end}/{self.total}"}

    def __bool__(self) -> bool:
        return True
