"""All that is found in one module: every rule, in the order of the lines."""

from collections.abc import Callable, Collection, Iterator

from sanicish.porting import imports, members, streams, views
from sanicish.porting.findings import Finding
from sanicish.porting.source import Source

__all__ = ["read"]

Rule = Callable[[Source], Iterator[Finding]]

RULES: tuple[Rule, ...] = (*imports.RULES, *streams.RULES, *members.RULES, *views.RULES)


def read(text: str, own: Collection[str] = ()) -> list[Finding]:
    """What there is to do in a module of a program; ``own`` are the names of the program's other modules.

    Nothing, if it imports neither Sanic nor Flask nor Quart. Raises ``SyntaxError`` for what is no Python.
    """
    source = Source(text, own)
    found = (finding for rule in RULES for finding in rule(source))
    return sorted(found, key=lambda finding: (finding.line, finding.column))
