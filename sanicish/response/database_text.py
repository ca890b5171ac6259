"""The text that PostgreSQL writes of a value whose Python type has no such text.

The types of asyncpg are known by their names, so that nobody has to import it who does not use it. A driver gives
times in UTC, so the text is that of a session in UTC.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite, isnan
from typing import Any

__all__ = ["database_text", "is_record"]

_DAY = timedelta(days=1)
_CLOCK = re.compile(r"(.*?\d\d:\d\d:\d\d(?:\.\d+)?)(?:([+-])(\d\d:.*))?")
_TO_QUOTE_IN_RANGE = re.compile(r'[\s"\\()\[\],]|\A\Z')
_TO_QUOTE_IN_ROW = re.compile(r'[\s"\\(),]|\A\Z')
_TO_QUOTE_IN_ARRAY = re.compile(r'[\s"\\{},]|\A\Z|\A[nN][uU][lL][lL]\Z')


def database_text(value: Any) -> str | None:
    """The text of a number with many digits, an interval, or a value of one of asyncpg's own types; else ``None``."""
    kind = type(value)
    if kind is Decimal:
        return format(value, "f")
    if isinstance(value, timedelta):
        return _interval(value)
    if _is_asyncpgs(kind):
        write = _OF_ASYNCPG.get(kind.__name__)
        return None if write is None else write(value)
    return _record(value) if is_record(value) else None


def is_record(value: Any) -> bool:
    """Whether this is a row of asyncpg, or a composite value in one."""
    return any(kind.__name__ == "Record" and _is_asyncpgs(kind) for kind in type(value).__mro__)


def _is_asyncpgs(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "asyncpg"


def _text(value: Any) -> str:
    """The text of any value within another one."""
    text = database_text(value)
    if text is not None:
        return text
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, datetime | time):
        return _without_zeros(value.isoformat(" ") if isinstance(value, datetime) else value.isoformat())
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, list):
        return _array(value)
    return str(value)


def _interval(value: timedelta) -> str:
    sign, size = ("-", -value) if value < timedelta(0) else ("", value)
    days, rest = divmod(size, _DAY)
    words = [f"{sign}{days} day{'' if sign + str(days) == '1' else 's'}"] if days else []
    if rest or not days:
        minutes, seconds = divmod(rest, timedelta(minutes=1))
        clock = f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds.seconds:02}.{seconds.microseconds:06}"
        words.append(clock.rstrip("0").rstrip(".") if seconds.microseconds else clock[:-7])
    return " ".join(words)


def _without_zeros(text: str) -> str:
    """A time without zeros at the end of its fraction, and without minutes of its offset if there are none."""
    found = _CLOCK.fullmatch(text)
    assert found is not None
    clock, sign, offset = found.groups()
    if "." in clock:
        clock = clock.rstrip("0").rstrip(".")
    return f"{clock}{sign}{offset.removesuffix(':00')}" if sign else clock


def _float(value: float) -> str:
    if not isfinite(value):
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    text = repr(value).removesuffix(".0")
    if abs(value) < 1e15 or "e" in text:
        return text
    digits = text.lstrip("-").rstrip("0")
    return f"{value:.{max(len(digits) - 1, 0)}e}"


def _range(value: Any) -> str:
    if value.isempty:
        return "empty"
    lower, upper = (
        "" if bound is None else _quoted(_text(bound), _TO_QUOTE_IN_RANGE) for bound in (value.lower, value.upper)
    )
    return f"{'[' if value.lower_inc else '('}{lower},{upper}{']' if value.upper_inc else ')'}"


def _record(value: Iterable[Any]) -> str:
    cells = ("" if cell is None else _quoted(_text(cell), _TO_QUOTE_IN_ROW) for cell in value)
    return f"({','.join(cells)})"


def _quoted(text: str, marks: "re.Pattern[str]") -> str:
    if not marks.search(text):
        return text
    doubled = text.replace("\\", "\\\\").replace('"', '""')
    return f'"{doubled}"'


def _array(value: list[Any]) -> str:
    return f"{{{','.join(_member(member) for member in value)}}}"


def _member(value: Any) -> str:
    if value is None or isinstance(value, list):
        return "NULL" if value is None else _array(value)
    text = _text(value)
    if not _TO_QUOTE_IN_ARRAY.search(text):
        return text
    escaped = re.sub(r'([\\"])', r"\\\1", text)
    return f'"{escaped}"'


def _points(value: Iterable[Any]) -> str:
    return ",".join(f"({_float(point[0])},{_float(point[1])})" for point in value)


_OF_ASYNCPG: dict[str, Callable[[Any], str]] = {
    "BitString": lambda value: value.as_string().replace(" ", ""),
    "Box": _points,
    "Circle": lambda value: f"<{_points([value.center])},{_float(value.radius)}>",
    "Line": lambda value: f"{{{','.join(map(_float, value))}}}",
    "LineSegment": lambda value: f"[{_points(value)}]",
    "Path": lambda value: f"({_points(value.points)})" if value.is_closed else f"[{_points(value.points)}]",
    "Point": lambda value: _points([value]),
    "Polygon": lambda value: f"({_points(value.points)})",
    "Range": _range,
    "Record": _record,
}
