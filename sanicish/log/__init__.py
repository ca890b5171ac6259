"""The three loggers, what a line of the access log says, and how records become lines: text for people, or JSON.

Whatever a client sends may come to stand in a log; here is where it is kept from breaking a line or colouring it.
"""

import json
import logging
import logging.config
import os
import sys
import textwrap
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sanicish.log.queue import QUEUE_SIZE, QueuedStreamHandler

__all__ = [
    "LOGGING_CONFIG_DEFAULTS",
    "Access",
    "JSONFormatter",
    "TextFormatter",
    "access_logger",
    "configure",
    "defaults",
    "error_logger",
    "logger",
]

logger = logging.getLogger("sanicish.root")
error_logger = logging.getLogger("sanicish.error")
access_logger = logging.getLogger("sanicish.access")

_OUT, _ERR = "ext://sys.stdout", "ext://sys.stderr"
_TIME = "%H:%M:%S"

LOGGING_CONFIG_DEFAULTS: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "generic": {
            "()": "sanicish.log.TextFormatter",
            "format": "%(asctime)s %(levelname)s: %(message)s",
            "datefmt": _TIME,
            "stream": _OUT,
        },
        "error": {
            "()": "sanicish.log.TextFormatter",
            "format": "%(asctime)s %(levelname)s: %(message)s",
            "datefmt": _TIME,
            "stream": _ERR,
        },
        "access": {
            "()": "sanicish.log.TextFormatter",
            "format": "%(asctime)s %(message)s",
            "datefmt": _TIME,
            "stream": _OUT,
        },
    },
    "handlers": {
        "console": {"class": "sanicish.log.queue.QueuedStreamHandler", "formatter": "generic", "stream": _OUT},
        "error_console": {"class": "sanicish.log.queue.QueuedStreamHandler", "formatter": "error", "stream": _ERR},
        "access_console": {"class": "sanicish.log.queue.QueuedStreamHandler", "formatter": "access", "stream": _OUT},
    },
    "loggers": {
        "sanicish.root": {"level": "INFO", "handlers": ["console"], "propagate": False},
        "sanicish.error": {"level": "INFO", "handlers": ["error_console"], "propagate": False},
        "sanicish.access": {"level": "INFO", "handlers": ["access_console"], "propagate": False},
    },
}

# A line break would forge another line, an escape colour the terminal or move its cursor.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {0x2028: "\\u2028", 0x2029: "\\u2029"}
_CONTROL_IN_TEXT = {code: text for code, text in _CONTROL.items() if chr(code) not in "\n\t"}
_INDENT = "    "  # no line that begins so is the first of a record

_RED, _YELLOW, _GREY, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[90m", "\x1b[0m"


def defaults(form: str = "text") -> dict[str, Any]:
    """Our logging configuration, as ``text`` or ``json``; raises ``ValueError`` for another form."""
    if form == "text":
        return LOGGING_CONFIG_DEFAULTS
    if form != "json":
        raise ValueError(f"LOG_FORMAT is text or json, not {form!r}")
    formatters = {name: {"()": "sanicish.log.JSONFormatter"} for name in LOGGING_CONFIG_DEFAULTS["formatters"]}
    return {**LOGGING_CONFIG_DEFAULTS, "formatters": formatters}


def configure(
    config: Mapping[str, Any] | None = None,
    form: str = "text",
    level: str | None = None,
    identify: Callable[[], str | None] | None = None,
    queue_size: float | None = QUEUE_SIZE,
) -> None:
    """Set up the loggers, by our defaults or by a ``logging.config`` mapping; ``level`` is laid over both.

    By our defaults, ``identify`` gives the id of the request that is being answered: what is logged meanwhile has it;
    and at most ``queue_size`` characters wait to be written, without end if it is ``None``.
    Raises ``ValueError`` for a form or a level that does not exist.
    """
    chosen = dict(config or defaults(form))
    if level:
        said = chosen.get("loggers", {})
        chosen["loggers"] = {name: {**one, "level": str(level).upper()} for name, one in said.items()}
    if not config:
        handlers = {name: {**one, "limit": queue_size} for name, one in chosen["handlers"].items()}
        if identify is not None:
            chosen["filters"] = {"identified": {"()": _Identified, "identify": identify}}
            for name in ("console", "error_console"):
                handlers[name]["filters"] = ["identified"]
        chosen["handlers"] = handlers
    logging.config.dictConfig(chosen)
    if not config:  # what no handler of the user's takes, such as what asyncio logs, shall not block either
        logging.lastResort = QueuedStreamHandler(sys.stderr, queue_size)
        logging.lastResort.setLevel(logging.WARNING)
        logging.lastResort.setFormatter(error_logger.handlers[0].formatter)


class _Identified(logging.Filter):
    """Keeps nothing back, and adds the id of the request to what has none."""

    def __init__(self, identify: Callable[[], str | None]) -> None:
        super().__init__()
        self._identify = identify

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request_id"):
            record.request_id = self._identify()
        return True


class TextFormatter(logging.Formatter):
    """Lines for people, coloured if ``stream`` is a terminal and the environment does not say ``NO_COLOR``.

    Every record begins at the beginning of a line, and nothing else does: further lines of it are indented.
    """

    def __init__(self, format: str | None = None, datefmt: str | None = None, stream: Any = None) -> None:
        super().__init__(format, datefmt)
        self._coloured = stream is not None and stream.isatty() and not os.environ.get("NO_COLOR")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """One record without its traceback."""
        if isinstance(record.msg, Access):  # one line of its own making
            line = super().formatMessage(record)
        else:
            if not record.message.isprintable():
                record.message = record.message.translate(_CONTROL_IN_TEXT).replace("\n", f"\n{_INDENT}")
            line = super().formatMessage(record)
            request_id = getattr(record, "request_id", None)
            if request_id:
                line += f" [{str(request_id).translate(_CONTROL)}]"
        colour = _colour(record) if self._coloured else ""
        return f"{colour}{line}{_PLAIN}" if colour else line

    def formatException(self, ei: Any) -> str:
        """A traceback."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        """A stack that was asked for."""
        return _indented(stack_info)


def _indented(text: str) -> str:
    return textwrap.indent(text.translate(_CONTROL_IN_TEXT), _INDENT, lambda line: True)


def _colour(record: logging.LogRecord) -> str:
    status = getattr(record, "status", 0)
    if record.levelno >= logging.ERROR or status >= 500:
        return _RED
    if record.levelno >= logging.WARNING or status >= 400:
        return _YELLOW
    return _GREY if record.levelno < logging.INFO else ""


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JSONFormatter(logging.Formatter):
    """One object a line: ``timestamp`` (UTC), ``level``, ``logger``, ``message`` and whatever was given as ``extra``.

    A line of the access log has the fields of ``Access`` in place of a message.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        told: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
        }
        if not isinstance(record.msg, Access):
            told["message"] = record.getMessage()
        told |= {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}
        if record.exc_info:
            told["exception"] = logging.Formatter.formatException(self, record.exc_info)
        if record.stack_info:
            told["stack"] = record.stack_info
        try:
            return json.dumps(told, default=str, allow_nan=False)
        except ValueError:  # JSON has no NaN
            return json.dumps(json.loads(json.dumps(told, default=str), parse_constant=lambda _: None))


# Who calls is known, so nobody has to look for it on the stack.
_ACCESS = {
    "name": access_logger.name,
    "levelno": logging.INFO,
    "levelname": "INFO",
    "pathname": __file__,
    "filename": "log.py",
    "module": "log",
    "funcName": "log",
}


class Access(dict[str, Any]):
    """One finished exchange: as fields of a record, and as text the line that people read.

    Sanic's fields are ``host`` (address and port of the peer), ``request``, ``status``, ``byte`` (of the response's body)
    and ``duration`` (seconds). Ours: ``method``, ``target``, ``received`` (bytes of the request's body), ``first_byte``
    (seconds until a stream began to leave), ``outcome``, ``request_id``; ``None`` is what is not known.
    """

    def __init__(
        self,
        method: str,
        target: str,
        status: int,
        outcome: str,
        peer: str,
        *,
        sent: int = 0,
        received: int = 0,
        seconds: float = 0.0,
        first_byte: float | None = None,
        request_id: Any = None,
    ) -> None:
        super().__init__(
            host=peer,
            request=f"{method} {target}",
            method=method,
            target=target,
            status=status,
            byte=sent,
            received=received,
            duration=round(seconds, 6),
            first_byte=first_byte and round(first_byte, 6),
            outcome=outcome,
            request_id=None if request_id is None else str(request_id),
        )

    def __str__(self) -> str:
        line = f"{self['request']} {self['status'] or '-'} · {_size(self['byte'])} in {_span(self['duration'])}"
        if self["received"]:
            line += f" · {_size(self['received'])} received"
        if self["first_byte"] is not None:
            line += f" · first byte after {_span(self['first_byte'])}"
        if self["outcome"] != "completed":
            line += f" · {self['outcome']}"
        line += f" · {self['host']}"
        if self["request_id"] is not None:
            line += f" · id {self['request_id']}"
        return line if line.isprintable() else line.translate(_CONTROL)

    def log(self) -> None:
        """Write it to the access log."""
        if access_logger.isEnabledFor(logging.INFO):
            access_logger.handle(logging.makeLogRecord({**_ACCESS, "msg": self, **self}))


def _size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB"):
        if round(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _span(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
