"""Streams out and in: writes, lengths, reading, and rows of CSV."""

import ast
from collections.abc import Iterator

from sanicish.porting.findings import Finding
from sanicish.porting.source import AnyFunction, Source, parameters

__all__ = ["RULES"]

_STREAMS = ("stream", "StreamingHTTPResponse", "ResponseStream")
_WRITES = frozenset({"write", "send", "write_json", "write_row", "flush", "eof"})
_READS = frozenset({"read", "get", "readline", "readexactly"})
_SEPARATORS = frozenset({",", ";", "\t"})


def _callbacks(source: Source) -> set[str]:
    """The names of the functions that ``stream()`` is given."""
    found = set()
    for call in source.calls():
        if source.means(call.func, *_STREAMS):
            given = [*call.args[:1], *(one.value for one in call.keywords if one.arg == "streaming_fn")]
            found |= {one.id for one in given if isinstance(one, ast.Name)}
            found |= {one.attr for one in given if isinstance(one, ast.Attribute)}
    return found


def _begun(source: Source) -> set[tuple[AnyFunction | ast.Lambda | None, str]]:
    """The names that ``await request.respond()`` is given, each with its function."""
    found = set()
    for node in source.nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Await):
            call = node.value.value
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "respond":
                found |= {(source.function(node), one.id) for one in node.targets if isinstance(one, ast.Name)}
    return found


def unawaited_writes(source: Source) -> Iterator[Finding]:
    """``response.write(data)`` as a statement: it sends, but nobody waits for a slow client."""
    if not source.frameworks & {"sanic", "sanicish"}:
        return
    callbacks, begun = _callbacks(source), _begun(source)
    for node in source.nodes:
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            continue
        called = node.value.func
        if (
            not isinstance(called, ast.Attribute)
            or called.attr not in _WRITES
            or not isinstance(called.value, ast.Name)
        ):
            continue
        within = source.function(node)
        binder = source.binder(called.value)
        writes = (within, called.value.id) in begun or (
            binder is not None and called.value.id in parameters(binder)[:2] and _streams(binder, called, callbacks)
        )
        if not writes:
            continue
        if isinstance(within, ast.AsyncFunctionDef):
            advice = (
                "await it: that waits while the client is slow; without it, too much at once raises WriteBufferFull"
            )
            yield source.finding(
                node.value, "unawaited-write", advice, source.inserted(node.value, "await "), must=False
            )
        else:
            advice = "a plain function cannot await: make it `async def`, so that it waits while the client is slow"
            yield source.finding(node.value, "unawaited-write", advice, must=within is binder)


def _streams(function: AnyFunction, called: ast.Attribute, callbacks: set[str]) -> bool:
    """Whether a function is what ``stream()`` calls: it is passed to it, or looks as if it were."""
    if function.name in callbacks:
        return True
    looks = isinstance(called.value, ast.Name) and called.value.id == "response"
    return looks and called.attr == "write" and isinstance(function, ast.AsyncFunctionDef)


def _keywords(call: ast.Call) -> dict[str, ast.expr]:
    return {one.arg: one.value for one in call.keywords if one.arg}


def _tells_length(headers: ast.expr | None) -> bool:
    if not isinstance(headers, ast.Dict):
        return False
    names = (key.value for key in headers.keys if isinstance(key, ast.Constant))
    return any(isinstance(name, str) and name.lower() == "content-length" for name in names)


def lengths(source: Source) -> Iterator[Finding]:
    """``chunked=`` and lengths given to streams: what Sanic made of them, and what is made of them here."""
    for call in source.calls():
        whole_file = source.means(call.func, "file_stream")
        if not whole_file and not source.means(call.func, *_STREAMS):
            continue
        given = _keywords(call)
        length = _tells_length(given.get("headers"))
        chunked = given.get("chunked")
        value = chunked.value if isinstance(chunked, ast.Constant) else None
        if length and chunked is None:
            advice = "Sanic to 20.12 dropped this length; here it is sent, and kept to the byte: another count cuts"
        elif length and value is True:
            advice = "chunked=True drops the length; leave it out, and the length is sent and kept to the byte"
        elif value is False and not length and not whole_file:
            advice = (
                "without a length the body ends when the connection does; give Content-Length, or leave chunked out"
            )
        else:
            continue
        yield source.finding(call, "stream-length", advice, must=False)


def _is_stream(node: ast.AST) -> bool:
    """Whether an expression is ``request.stream``."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "stream"
        and isinstance(node.value, ast.Name)
        and node.value.id in ("request", "req")
    )


def unawaited_reads(source: Source) -> Iterator[Finding]:
    """``request.stream.read(n)`` without ``await``: Flask's stream is a file, here it is waited for."""
    for call in source.calls():
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in _READS or not _is_stream(call.func.value):
            continue
        if isinstance(source.parent(call), ast.Await):
            continue
        within = source.function(call)
        advice = "stream=True on the route, `async def`, and await it; b'' becomes None at the end"
        awaits = isinstance(within, ast.AsyncFunctionDef) and not source.frameworks & {"flask"}
        edits = [source.inserted(call, "await ")] if awaits and isinstance(source.parent(call), ast.Assign) else []
        yield source.finding(call, "unawaited-read", advice, *edits)


def split_characters(source: Source) -> Iterator[Finding]:
    """``piece.decode()``: a character may lie in two pieces."""
    if not source.frameworks & {"sanic", "sanicish", "quart"}:
        return
    pieces: set[tuple[AnyFunction | ast.Lambda | None, str]] = set()
    for node in source.nodes:
        if isinstance(node, ast.AsyncFor) and isinstance(node.target, ast.Name) and _gives_pieces(node.iter):
            pieces.add((source.function(node), node.target.id))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Await):
            call = node.value.value
            reads = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _READS
            if reads and _is_stream(call.func.value):  # type: ignore[attr-defined]
                pieces |= {(source.function(node), one.id) for one in node.targets if isinstance(one, ast.Name)}
    for call in source.calls():
        if not isinstance(call.func, ast.Attribute) or call.func.attr != "decode":
            continue
        if isinstance(call.func.value, ast.Name) and (source.function(call), call.func.value.id) in pieces:
            advice = "a character may lie in two pieces: `async for text in request.stream.text()`"
            yield source.finding(call, "split-character", advice, must=False)


def _gives_pieces(node: ast.expr) -> bool:
    return _is_stream(node) or (
        isinstance(node, ast.Attribute) and node.attr == "body" and getattr(node.value, "id", "") == "request"
    )


def unquoted_rows(source: Source) -> Iterator[Finding]:
    """A line of CSV put together by hand, in something that streams."""
    callbacks = _callbacks(source)
    for node in source.nodes:
        line = _sent(node)
        if line is None or not _is_row(line):
            continue
        within = source.function(node)
        if isinstance(node, ast.Call) and not (
            isinstance(within, ast.AsyncFunctionDef) and (within.name in callbacks or "response" in parameters(within))
        ):
            continue
        advice = "cells with commas, quotes or line breaks break the table: `return csv(rows)` quotes them"
        if isinstance(node, ast.Call):
            advice += ", and so does `await response.write_row(cells)`"
        yield source.finding(line, "unquoted-csv", advice, must=False)


def _sent(node: ast.AST) -> ast.expr | None:
    """What an expression yields or writes."""
    if isinstance(node, ast.Yield):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("write", "send"):
        return node.args[0] if node.args else None
    return None


def _is_row(node: ast.expr) -> bool:
    """Whether text is made of values with separators between them, up to the end of a line."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _is_row(node.left) or _is_join(node.left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _is_pattern(node.left, "%s")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "format":
            return _is_pattern(node.func.value, "{}")
        if node.func.attr == "encode":
            return _is_row(node.func.value)
    if not isinstance(node, ast.JoinedStr) or not node.values:
        return False
    last = node.values[-1]
    if not (isinstance(last, ast.Constant) and str(last.value).strip(" \r") == "\n"):
        return False
    first, between = node.values[0], [one.value for one in node.values[:-1] if isinstance(one, ast.Constant)]
    if len(node.values) == 2:
        return isinstance(first, ast.FormattedValue) and _is_join(first.value)
    return len(node.values) > 3 and all(str(one).strip(" ") in _SEPARATORS for one in between)


def _is_join(node: ast.expr) -> bool:
    """Whether it is ``",".join(...)``."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "join"
        and isinstance(node.func.value, ast.Constant)
        and node.func.value.value in (*_SEPARATORS, *(sign.encode() for sign in _SEPARATORS))
    )


def _is_pattern(node: ast.expr, hole: str) -> bool:
    text = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(text, str) or not text.endswith("\n"):
        return False
    return any(text.strip().split(sign).count(hole) > 1 for sign in _SEPARATORS)


def writers(source: Source) -> Iterator[Finding]:
    """``csv.writer(response)``: it writes, and cannot await."""
    callbacks = _callbacks(source)
    for call in source.calls():
        within = source.function(call)
        if source.origin(call.func) not in ("csv.writer", "csv.DictWriter") or not isinstance(within, AnyFunction):
            continue
        names = {one.id for given in call.args[:1] for one in ast.walk(given) if isinstance(one, ast.Name)}
        if within.name in callbacks and names & set(parameters(within)):
            advice = "it writes without await, so nobody waits for a slow client: `await response.write_row(cells)`"
            yield source.finding(call, "unawaited-write", advice, must=False)


RULES = (unawaited_writes, lengths, unawaited_reads, split_characters, unquoted_rows, writers)
