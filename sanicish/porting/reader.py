"""All that is found in one module: every rule, in the order of the lines."""

import re
from collections.abc import Callable, Collection, Iterator

from sanicish.porting import hooks, imports, members, streams, views
from sanicish.porting.findings import Finding, apply
from sanicish.porting.source import Source

__all__ = ["fix", "read"]

_ROUNDS = 5  # edits may lie within others; the inner ones wait for the next round

Rule = Callable[[Source], Iterator[Finding]]

RULES: tuple[Rule, ...] = (*streams.RULES, *members.RULES, *hooks.RULES, *views.RULES)

_MENTIONED = re.compile("sanic|flask|quart|werkzeug")  # without one of them nothing can be found


def read(text: str, own: Collection[str] = ()) -> list[Finding]:
    """What there is to do in a module of a program; ``own`` are the names of the program's other modules.

    Nothing, if it imports neither Sanic nor Flask nor Quart. Raises ``SyntaxError`` for what is no Python.
    """
    return _find(Source(text, own)) if _MENTIONED.search(text) else []


def fix(text: str, own: Collection[str] = ()) -> tuple[str, int, list[Finding]]:
    """The module with all that can be fixed safely, how much that was, and what is left to do."""
    if not _MENTIONED.search(text):
        return text, 0, []
    source = Source(text, own)
    formerly, found, made = source.frameworks, _find(source), 0
    for _ in range(_ROUNDS):
        edits = [edit for finding in found for edit in finding.edits]
        if not edits:
            break
        made += sum(bool(finding.edits) for finding in found)
        text = apply(text.encode(), edits).decode()
        found = _find(Source(text, own, formerly))
    return text, made, found


def _find(source: Source) -> list[Finding]:
    rules: tuple[Rule, ...] = (*imports.RULES, *RULES) if source.frameworks else imports.RULES
    found = (finding for rule in rules for finding in rule(source))
    return sorted(found, key=lambda finding: (finding.line, finding.column))
