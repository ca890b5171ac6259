"""The three loggers, and what a line of the access log says."""

import logging
import logging.config
from typing import Any

__all__ = ["LOGGING_CONFIG_DEFAULTS", "access_line", "access_logger", "configure", "error_logger", "logger"]

logger = logging.getLogger("sanicish.root")
error_logger = logging.getLogger("sanicish.error")
access_logger = logging.getLogger("sanicish.access")

LOGGING_CONFIG_DEFAULTS: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "generic": {"format": "%(asctime)s %(levelname)s: %(message)s", "datefmt": "%H:%M:%S"},
        "access": {"format": "%(asctime)s %(message)s", "datefmt": "%H:%M:%S"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stdout"},
        "error_console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stderr"},
        "access_console": {"class": "logging.StreamHandler", "formatter": "access", "stream": "ext://sys.stdout"},
    },
    "loggers": {
        "sanicish.root": {"level": "INFO", "handlers": ["console"], "propagate": False},
        "sanicish.error": {"level": "INFO", "handlers": ["error_console"], "propagate": False},
        "sanicish.access": {"level": "INFO", "handlers": ["access_console"], "propagate": False},
    },
}

# Anything a client sends may stand in a log line; a line break in it would forge another line.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def configure(config: dict[str, Any] | None = None) -> None:
    """Set up the loggers, by our defaults or by a ``logging.config`` mapping."""
    logging.config.dictConfig(config or LOGGING_CONFIG_DEFAULTS)


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


def access_line(
    method: str, target: str, status: int, sent: int, seconds: float, ending: str | None, client: str
) -> str:
    """One finished exchange in one line: what was asked, how it ended, how much and how long."""
    parts = [f"{method} {target} {status or '-'}", f"{_size(sent)} in {_span(seconds)}"]
    if ending:
        parts.append(ending)
    parts.append(client or "unix")
    return " · ".join(parts).translate(_CONTROL)
