"""The live view: a page that shows every open stream while it moves, for whoever runs the server.

It reads what ``open_streams`` tells and sends it as events. The workers of one server show theirs to each other as
files, as long as somebody looks. Only clients that have the token of this server may look: a peer on this machine may be
a proxy for everybody.
"""

import asyncio
import base64
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from time import monotonic, time
from typing import Any
from urllib.parse import urlsplit

from sanicish.blueprints import Blueprint
from sanicish.events import sse
from sanicish.exceptions import Forbidden
from sanicish.log import logger
from sanicish.request import Request
from sanicish.response import HTTPResponse, StreamingHTTPResponse, redirect

__all__ = ["live_view"]

_MOST = 200  # streams that one process shows; the oldest are the interesting ones
_SECONDS = 1.0  # between two looks
_FRESH = 3.0  # seconds after which a worker that has shown nothing is gone, and a looker has left

_VARIABLE = "_SANICISH_LIVE"
_PAGE = (Path(__file__).parent / "page.html").read_bytes()
_FORWARDING = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def _policy() -> str:
    """What the page may do: run its own script and talk to its own server, and nothing that somebody slipped in."""
    hashes = {}
    for element in ("script", "style"):
        found = re.search(rb"<%b>(.*?)</%b>" % (element.encode(), element.encode()), _PAGE, re.DOTALL)
        assert found is not None
        hashes[element] = base64.b64encode(hashlib.sha256(found[1]).digest()).decode()
    sources = "".join(f"; {element}-src 'sha256-{told}'" for element, told in hashes.items())
    return f"default-src 'none'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'{sources}"


_HEADERS = {"Content-Security-Policy": _policy(), "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def live_view(
    url_prefix: str = "/live", allow: Callable[[Request], Any] | None = None, name: str = "live"
) -> Blueprint:
    """A blueprint with the page at its prefix: ``app.blueprint(live_view())``.

    The log shows its address at start, with a token that is made for this server. A client needs the token (in the query,
    in the cookie that it is exchanged for, or as ``Authorization: Bearer``), has to be on this machine, to ask for a loopback
    address, and not to come through a proxy that says so. ``allow(request)``, plain or async, replaces all of this: it
    returns whether the client may see the page (else 403), or raises an exception of its own.
    """
    view = Blueprint(name, url_prefix=url_prefix)
    board: list[_Board] = []

    @view.on_request
    async def guard(request: Request) -> None:
        if allow is None:
            _admit(request, board[0].token)
            return
        allowed = allow(request)
        if hasattr(allowed, "__await__"):
            allowed = await allowed
        if not allowed:
            raise Forbidden("the live view is not for this client")

    @view.get("/")
    async def page(request: Request) -> HTTPResponse:
        if allow is None and "token" in request.args:
            return _exchanged(request, board[0].token)
        return HTTPResponse(_PAGE, 200, _HEADERS, "text/html; charset=utf-8")

    @view.get("/events")
    async def events(request: Request) -> StreamingHTTPResponse:
        return sse(_looks(request, board[0]))

    async def begin(app: Any) -> None:
        os.environ[_VARIABLE] = tempfile.mkdtemp(prefix="sanicish-live-")
        _Board(os.environ[_VARIABLE]).make_token()

    async def end(app: Any) -> None:
        shutil.rmtree(os.environ.pop(_VARIABLE, ""), ignore_errors=True)

    async def start(app: Any) -> None:
        board[:] = [_Board(os.environ.get(_VARIABLE))]
        app.add_task(_show(app, board[0]), name="live view")

    async def tell(app: Any) -> None:
        if allow is None and board[0].is_first(name):
            logger.info("live view on %s?token=%s", _address(app, f"{name}.page"), board[0].token)

    view.register_listener(begin, "main_process_start")
    view.register_listener(end, "main_process_stop")
    view.register_listener(start, "before_server_start")
    view.register_listener(tell, "after_server_start")
    return view


def _admit(request: Request, token: str) -> None:
    """Raise ``Forbidden`` unless the client has the token and is on this machine."""
    if not _is_local(request):
        raise Forbidden("the live view is for clients on this machine; live_view(allow=) lets others see it")
    for given in (request.args.get("token"), request.cookies.get(_cookie_name(token)), request.token):
        if given and secrets.compare_digest(given.encode(), token.encode()):
            return
    raise Forbidden("the live view needs the token of this server, which is in the log: ?token=...")


def _cookie_name(token: str) -> str:
    """A name of its own for each server: browsers keep one cookie for all ports of a host."""
    return f"live_{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def _exchanged(request: Request, token: str) -> HTTPResponse:
    """The page again, by a cookie instead of a token that would stay in the history of the browser."""
    response = redirect(request.path)
    response.add_cookie(
        _cookie_name(token),
        token,
        path=request.path.rstrip("/") or "/",
        secure=request.scheme == "https",
        httponly=True,
        samesite="Lax",
    )
    return response


def _address(app: Any, name: str) -> str:
    """Where the page is found on this machine, as far as the server has an address."""
    path = str(app.url_for(name)).rstrip("/") or "/"
    url = urlsplit(app.serve_location)
    if url.hostname is None:
        return path
    host = url.netloc.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")
    return f"{url.scheme}://{host}{path}"


def _is_local(request: Request) -> bool:
    """Whether the peer is on this machine, and no proxy that speaks for another.

    The name that was asked for is looked at as well: a page of somebody else's may have its own name point here.
    """
    if any(name in request.headers for name in _FORWARDING):
        return False
    host = re.sub(r":\d*$", "", request.headers.get("host", "")).strip("[]")
    return _is_loopback(request.ip) and (host == "localhost" or _is_loopback(host))


def _is_loopback(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


class _Board:
    """A folder where the workers of one server show each other what they see; without a folder there are no others."""

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None
        self._own = f"{os.getpid()}.json"
        self.token = ""
        if self._path is None:
            self.token = secrets.token_urlsafe(16)
        else:
            with suppress(OSError):
                self.token = (self._path / "token").read_text()

    def make_token(self) -> None:
        """Make the token of all workers; the folder is its owner's alone."""
        self.token = secrets.token_urlsafe(16)
        if self._path is not None:
            (self._path / "token").write_text(self.token)

    def is_first(self, name: str) -> bool:
        """Whether no worker has asked this before."""
        try:
            if self._path is not None:
                (self._path / f"told-{name}").touch(exist_ok=False)
        except OSError:
            return False
        return True

    @property
    def is_watched(self) -> bool:
        """Whether somebody looks, here or in another process."""
        return self._path is not None and _is_fresh(self._path / "watched")

    def watch(self) -> None:
        """Somebody looks."""
        if self._path is not None:
            with suppress(OSError):
                (self._path / "watched").touch()

    def show(self, seen: dict[str, Any]) -> None:
        """Let the others see this; whole or not at all."""
        if self._path is not None:
            with suppress(OSError):
                fresh = self._path / f"{self._own}.new"
                fresh.write_text(json.dumps(seen))
                fresh.rename(self._path / self._own)

    def others(self) -> Iterator[dict[str, Any]]:
        """What the other processes see; what a dead one has left is thrown away."""
        for file in sorted(self._path.glob("*.json")) if self._path is not None else ():
            if file.name == self._own:
                continue
            with suppress(OSError, ValueError):
                if _is_fresh(file):
                    yield json.loads(file.read_text())
                else:
                    file.unlink()


def _is_fresh(file: Path) -> bool:
    try:
        return time() - file.stat().st_mtime < _FRESH
    except OSError:
        return False


def _seen(app: Any) -> dict[str, Any]:
    """What this process sees."""
    return {
        "pid": os.getpid(),
        "at": round(monotonic(), 3),
        "connections": len(app.connections),
        "open": sum(len(one.handlers) for one in app.connections),
        "streams": [one._asdict() for one in app.streams(_MOST)],
    }


async def _show(app: Any, board: _Board) -> None:
    """Show the other processes what this one sees, while somebody looks."""
    while True:
        if board.is_watched:
            board.show(_seen(app))
        await asyncio.sleep(_SECONDS)


async def _looks(request: Request, board: _Board) -> AsyncIterator[dict[str, Any]]:
    """What all processes see, again and again, until the server stops."""
    stopping = asyncio.ensure_future(request.shutdown())
    try:
        while not stopping.done():
            board.watch()
            yield {"app": request.app.name, "workers": [_seen(request.app), *board.others()]}
            await asyncio.wait({stopping}, timeout=_SECONDS)
    finally:
        stopping.cancel()
