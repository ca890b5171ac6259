"""Regular expressions that can take exponential time: those that match some text in more and more ways as it grows.

Python's ``re`` tries one way after the other, so a text that nearly matches is tried in all of them. An expression is seen
as the automaton of its characters (Glushkov's); it is exponential if one character can be reached from itself by the same
text in two ways (Weber and Seidl, 1991: EDA). What the automaton cannot show, such as back references, is passed over.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import Any, NamedTuple

from sanicish.log import error_logger

__all__ = ["is_exponential", "warn_of_pattern"]

_MOST = 100  # characters of an expression that is looked at
_STEPS = 100_000  # that are made before it is given up
_ENDLESS = 64  # repetitions from which on they count as endless

_parser: Any = getattr(re, "_parser", None)  # it has no public name


def warn_of_pattern(pattern: str, what: str) -> None:
    """Log that ``what`` can block the loop, if its pattern is exponential."""
    if is_exponential(pattern):
        error_logger.warning(
            "%s can take exponential time for some requests, and blocks the loop meanwhile: its expression repeats"
            " something that repeats itself, as in (a+)+; write it so that every text matches in one way only",
            what,
        )


def is_exponential(pattern: str) -> bool:
    """Whether a pattern takes time that doubles with each character of some text; false if that cannot be told."""
    try:
        return _Automaton(_parser.parse(pattern)).is_ambiguous()
    except Exception:  # another Python may parse into something else, and a route must not fail for that
        return False


class _Part(NamedTuple):
    """A part of an expression: in how many ways it matches nothing, and with which characters it can begin and end."""

    empty: int
    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()


_NOTHING = _Part(1)


class _Automaton:
    """The characters of an expression, and which may follow which, in how many ways."""

    def __init__(self, parsed: Any) -> None:
        self._accepts: list[int] = []  # by each: ASCII as bits
        self._ways: dict[tuple[int, int], int] = {}
        self._endless = False
        self._steps = 0
        self._sequence(parsed)

    # Building

    def _character(self, accepts: int) -> _Part:
        self._accepts.append(accepts)
        if len(self._accepts) > _MOST:
            raise OverflowError
        here = (len(self._accepts) - 1,)
        return _Part(0, here, here)

    def _follow(self, last: Iterable[int], first: Iterable[int]) -> None:
        for before in last:
            for behind in first:
                self._ways[before, behind] = self._ways.get((before, behind), 0) + 1

    def _sequence(self, items: Iterable[Any]) -> _Part:
        return reduce(self._join, (self._item(str(kind), value) for kind, value in items), _NOTHING)

    def _join(self, one: _Part, other: _Part) -> _Part:
        self._follow(one.last, other.first)
        return _Part(
            min(2, one.empty * other.empty),
            one.first + other.first * one.empty,
            one.last * other.empty + other.last,
        )

    def _item(self, kind: str, value: Any) -> _Part:
        if kind == "SUBPATTERN":
            return self._sequence(value[3])
        if kind == "BRANCH":
            parts = [self._sequence(one) for one in value[1]]
            return _Part(
                min(2, sum(part.empty for part in parts)),
                tuple(at for part in parts for at in part.first),
                tuple(at for part in parts for at in part.last),
            )
        if kind in ("MAX_REPEAT", "MIN_REPEAT"):
            return self._repeat(*value)
        if kind in ("POSSESSIVE_REPEAT", "ATOMIC_GROUP"):  # they never give back what they took: one way inside
            ways = self._ways.copy()
            part = self._sequence(value[2] if kind == "POSSESSIVE_REPEAT" else value)
            self._ways = ways
            return part._replace(empty=1) if kind == "POSSESSIVE_REPEAT" and not value[0] else part
        accepted = _accepted(kind, value)
        return _NOTHING if accepted is None else self._character(accepted)

    def _repeat(self, least: int, most: int, items: Any) -> _Part:
        outer, self._endless = self._endless, False
        part = self._sequence(items)
        if int(most) >= _ENDLESS or (int(most) > 1 and self._endless):
            self._follow(part.last, part.first)
        self._endless = outer or self._endless or int(most) >= _ENDLESS
        return part._replace(empty=part.empty or int(not least))

    # Looking

    def is_ambiguous(self) -> bool:
        """Whether a character leads back to itself by one text in two ways."""
        follow: dict[int, list[int]] = {}
        for before, behind in self._ways:
            follow.setdefault(before, []).append(behind)
        reached = {at: self._reached(at, lambda at: follow.get(at, ())) for at in follow}
        if any(count > 1 and before in reached.get(behind, ()) for (before, behind), count in self._ways.items()):
            return True
        for at in follow:
            around = {one for one in reached[at] if at in reached.get(one, ())}
            inside = {one: [other for other in follow[one] if other in around] for one in around}
            if inside and self._meets_itself(at, inside):
                return True
        return False

    def _meets_itself(self, at: int, follow: dict[int, list[int]]) -> bool:
        """Whether two that walk around in step, by the same text, can part and be at their start together again."""

        def both(pair: tuple[int, int]) -> Iterator[tuple[int, int]]:
            for one in follow[pair[0]]:
                for other in follow[pair[1]]:
                    if self._accepts[one] & self._accepts[other]:
                        yield one, other

        apart = [pair for pair in self._reached((at, at), both) if pair[0] != pair[1]]
        return any((at, at) in self._reached(pair, both) for pair in apart)

    def _reached(self, start: Any, follow: Callable[[Any], Iterable[Any]]) -> set[Any]:
        """All that can be reached from something in one step or more."""
        found: set[Any] = set()
        waiting = [start]
        while waiting:
            for one in follow(waiting.pop()):
                self._steps += 1
                if self._steps > _STEPS:
                    raise OverflowError
                if one not in found:
                    found.add(one)
                    waiting.append(one)
        return found


_CATEGORIES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}
_ALL = (1 << 128) - 1  # paths are ASCII


def _accepted(kind: str, value: Any) -> int | None:
    """The characters that an item takes; ``None`` if it takes none, as an anchor."""
    if kind == "LITERAL":
        return _bit(value)
    if kind == "NOT_LITERAL":
        return _ALL & ~_bit(value)
    if kind == "ANY":
        return _ALL
    if kind == "RANGE":
        return reduce(int.__or__, (_bit(code) for code in range(value[0], min(value[1], 128) + 1)), 0)
    if kind == "CATEGORY":
        name = str(value).removeprefix("CATEGORY_")
        takes = re.compile(_CATEGORIES[name.removeprefix("NOT_")])
        found = sum(_bit(code) for code in range(128) if takes.match(chr(code)))
        return _ALL & ~found if name.startswith("NOT_") else found
    if kind == "IN":
        negated = str(value[0][0]) == "NEGATE"
        found = reduce(int.__or__, (_accepted(str(one), more) or 0 for one, more in value[negated:]), 0)
        return _ALL & ~found if negated else found
    return None


def _bit(code: int) -> int:
    return 1 << code if code < 128 else 0
