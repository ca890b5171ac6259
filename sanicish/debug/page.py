"""The error page of debug mode: the source where it failed, who called that, and what was asked.

Everything on it is escaped, and what lets somebody in is masked. It has no script, and may load nothing.
"""

import html
import linecache
import traceback
from collections.abc import Iterator, Mapping
from traceback import FrameSummary
from types import FunctionType, ModuleType
from typing import Any

from sanicish.debug.masks import Fields, Mask
from sanicish.log.places import is_own, shortened

__all__ = ["error_page"]

_AROUND = 5  # lines of source before and after
_MOST_CALLS = 40  # of one exception; a recursion has a thousand
_MOST_FAILURES = 8  # one behind the other
_MOST_VARIABLES = 30

_STYLE = """
:root{color-scheme:light dark;--paper:#fbfbfa;--card:#fff;--ink:#1d2021;--soft:#6a7075;--line:#dfe1e3;--bad:#b3261e;
--hit:#fdeceb;--mark:#f7b9b4;--code:#f6f7f8}
@media(prefers-color-scheme:dark){:root{--paper:#141618;--card:#1c1f22;--ink:#e6e8ea;--soft:#9aa1a8;--line:#33383d;
--bad:#ff8a80;--hit:#3a2224;--mark:#7d2f2c;--code:#17191c}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:64rem;margin:0 auto;padding:2rem 1.25rem 3rem}
header{border-left:5px solid var(--bad);padding:.1rem 0 .1rem 1.1rem;margin-bottom:2rem}
h1{font-size:1.75rem;line-height:1.25;margin:.1rem 0;color:var(--bad);overflow-wrap:anywhere}
h2{font-size:1rem;margin:2.2rem 0 .7rem;color:var(--soft);font-weight:600}
header p{margin:.2rem 0;overflow-wrap:anywhere}.said{font-size:1.15rem;white-space:pre-wrap}.soft{color:var(--soft)}
.note{display:inline-block;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.4rem .8rem}
code,pre,.code{font:.84rem/1.6 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.frame{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:.6rem 0;overflow:hidden}
.frame>summary{padding:.55rem .9rem;cursor:pointer;overflow-wrap:anywhere}
.frame[open]>summary{border-bottom:1px solid var(--line)}
summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--bad);outline-offset:-2px}
.frame b{font-weight:600}.theirs>summary{color:var(--soft);font-size:.9rem}
.scroll{overflow-x:auto;background:var(--code)}
.code{border-collapse:collapse;min-width:100%}.code td{padding:0 .9rem 0 0;white-space:pre;tab-size:4}
.code td:first-child{padding-left:.9rem;color:var(--soft);text-align:right;user-select:none;width:1%}
.code .hit{background:var(--hit)}.code .hit td:first-child{color:var(--bad);font-weight:700}
mark{background:var(--mark);color:inherit;border-radius:3px;padding:.1em 0}
dl{display:grid;grid-template-columns:max-content 1fr;margin:0;padding:.6rem .9rem;gap:.15rem 1.2rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.asked{background:var(--card);border:1px solid var(--line);border-radius:8px}
.variables{border-top:1px solid var(--line)}.variables>summary{padding:.35rem .9rem;cursor:pointer;color:var(--soft);font-size:.875rem}
.variables dl{padding-top:.1rem}
pre{margin:0;padding:.9rem}footer{margin-top:2.5rem;color:var(--soft);font-size:.875rem}
@media(max-width:40rem){main{padding:1.2rem .8rem 2rem}h1{font-size:1.35rem}dl{grid-template-columns:1fr;gap:0}
dd{margin-bottom:.5rem}}
"""

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{kind}: {status}</title><style>{style}</style></head><body><main>
<header><p class="soft">{status}</p><h1>{kind}</h1><p class="said">{message}</p>{notes}<p class="soft"><code>{line}</code></p></header>
{more}{failures}
<h2>The request</h2><dl class="asked code">{fields}</dl>
<h2>As text</h2><details class="frame theirs"><summary>Traceback</summary><div class="scroll" tabindex="0"><pre>{trace}</pre></div></details>
<footer>Shown because the application runs in debug mode. Others see a page with the status, and nothing of this.</footer>
</main></body></html>
"""


def error_page(status: str, exception: BaseException, line: str, fields: Fields, more: str = "") -> str:
    """The page for an exception; ``line`` is the method and the target of the request, ``more`` what it has to tell."""
    fields = list(fields)
    mask = Mask(fields, line)
    return _PAGE.format(
        style=_STYLE,
        status=html.escape(status),
        kind=html.escape(type(exception).__name__),
        message=_escaped(mask, str(exception)),
        notes="".join(
            f'<p class="note">{_escaped(mask, str(note))}</p>' for note in getattr(exception, "__notes__", ())
        ),
        line=_escaped(mask, line),
        more=f'<div class="frame scroll"><pre>{_escaped(mask, more)}</pre></div>' if more else "",
        failures="".join(_failures(exception, mask, "Where it failed, the last call first")),
        fields=_listed(mask.fields(fields)),
        trace=_escaped(mask, "".join(traceback.format_exception(exception))),
    )


def _escaped(mask: Mask, text: str) -> str:
    return html.escape(mask.text(text))


def _failures(failure: BaseException, mask: Mask, title: str, depth: int = 0) -> Iterator[str]:
    """An exception, those of its group, and the one it came from."""
    yield f"<h2>{_escaped(mask, title)}</h2>"
    yield "".join(_calls(failure, mask))
    if depth >= _MOST_FAILURES:
        return
    for one in failure.exceptions if isinstance(failure, BaseExceptionGroup) else ():
        yield from _failures(one, mask, f"One of the group: {_said(one)}", depth + 1)
    if failure.__cause__ is not None:
        yield from _failures(failure.__cause__, mask, f"Caused by {_said(failure.__cause__)}", depth + 1)
    elif failure.__context__ is not None and not failure.__suppress_context__:
        yield from _failures(
            failure.__context__, mask, f"While this was handled: {_said(failure.__context__)}", depth + 1
        )


def _said(failure: BaseException) -> str:
    return "".join(traceback.format_exception_only(failure)).strip()


def _calls(failure: BaseException, mask: Mask) -> Iterator[str]:
    """The calls that led to an exception, the last one first; those of the application are open."""
    if isinstance(failure, SyntaxError):  # its place is in no frame
        yield f'<div class="frame scroll"><pre>{html.escape(_said(failure))}</pre></div>'
    frames = [frame for frame, _ in traceback.walk_tb(failure.__traceback__)]
    calls = list(zip(traceback.extract_tb(failure.__traceback__), frames, strict=True))[::-1]
    last_own = next((call for call, _ in calls if is_own(call.filename)), None)
    for call, frame in calls[:_MOST_CALLS]:
        own = is_own(call.filename)
        yield (
            f'<details class="frame{"" if own else " theirs"}"{" open" if own or last_own is None else ""}>'
            f"<summary><b>{html.escape(call.name)}</b> \u00b7 {html.escape(shortened(call.filename))}, line {call.lineno}</summary>"
            f'<div class="scroll" tabindex="0"><table class="code">{_source(call)}</table></div>'
            f"{_variables(frame.f_locals, mask, call is last_own) if own else ''}</details>"
        )
    if len(calls) > _MOST_CALLS:
        yield f'<p class="soft">and {len(calls) - _MOST_CALLS} calls before</p>'


def _variables(values: Mapping[str, Any], mask: Mask, shown: bool) -> str:
    """What the names of a frame stand for; modules, classes and functions are of no interest."""
    told = [
        (name, mask.value(value))
        for name, value in values.items()
        if not name.startswith("__") and not isinstance(value, ModuleType | FunctionType | type)
    ][:_MOST_VARIABLES]
    if not told:
        return ""
    return (
        f'<details class="variables"{" open" if shown else ""}><summary>Variables</summary>'
        f'<dl class="code">{_listed(mask.fields(told))}</dl></details>'
    )


def _listed(pairs: Fields) -> str:
    return "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in pairs)


def _source(frame: FrameSummary) -> str:
    """The lines around the one where a frame was."""
    lines = linecache.getlines(frame.filename)
    number = frame.lineno or 0
    shown = range(max(1, number - _AROUND), min(len(lines), number + _AROUND) + 1)
    if number not in shown:
        return "<tr><td></td><td>(no source)</td></tr>"
    rows = []
    for at in shown:
        text = lines[at - 1].rstrip()
        code = _marked(text, frame) if at == number else html.escape(text)
        rows.append(f"<tr{' class=hit' if at == number else ''}><td>{at}</td><td>{code}</td></tr>")
    return "".join(rows)


def _marked(text: str, frame: FrameSummary) -> str:
    """A line with the expression that failed marked, if it is not all of it; Python counts its columns in bytes."""
    begin, end = frame.colno, frame.end_colno
    encoded = text.encode()
    if (
        begin is None
        or end is None
        or frame.end_lineno != frame.lineno
        or encoded[begin:end].strip() == encoded.strip()
    ):
        return html.escape(text)
    before, failed, after = (
        html.escape(piece.decode(errors="replace")) for piece in (encoded[:begin], encoded[begin:end], encoded[end:])
    )
    return f"{before}<mark>{failed}</mark>{after}"
