"""All that is found in one module: every rule, in the order of the lines."""

import re
from collections.abc import Callable, Collection, Iterator

from sanicish.porting import imports, members, streams, views
from sanicish.porting.findings import Finding
from sanicish.porting.source import Source

__all__ = ["read"]

Rule = Callable[[Source], Iterator[Finding]]

RULES: tuple[Rule, ...] = (*streams.RULES, *members.RULES, *views.RULES)

_MENTIONED = re.compile("sanic|flask|quart|werkzeug")  # without one of them nothing can be found


def read(text: str, own: Collection[str] = ()) -> list[Finding]:
    """What there is to do in a module of a program; ``own`` are the names of the program's other modules.

    Nothing, if it imports neither Sanic nor Flask nor Quart. Raises ``SyntaxError`` for what is no Python.
    """
    if not _MENTIONED.search(text):
        return []
    source = Source(text, own)
    rules: tuple[Rule, ...] = (*imports.RULES, *RULES) if source.frameworks else imports.RULES
    found = (finding for rule in rules for finding in rule(source))
    return sorted(found, key=lambda finding: (finding.line, finding.column))
