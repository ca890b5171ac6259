"""Servers of others in the loop of a test, each on a unix socket; and clients that reach them."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest

PATIENCE = 10.0


async def _listens(path: Path, task: asyncio.Task[Any]) -> None:
    """Wait until a server listens on its socket; if it ends before, what it says is the reason."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_unix_connection(path)
            except (FileNotFoundError, ConnectionRefusedError):  # one may bind well before it listens
                if task.done():
                    task.result()
                    raise RuntimeError("the server ended before it listened") from None
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return


@asynccontextmanager
async def uvicorn(app: Any, path: Path, **options: Any) -> AsyncIterator[None]:
    module = import_module("uvicorn")
    server = module.Server(
        module.Config(app, uds=str(path), lifespan="on", log_config=None, timeout_graceful_shutdown=1, **options)
    )
    task = asyncio.create_task(server.serve())
    try:
        await _listens(path, task)
        yield
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def hypercorn(app: Any, path: Path, **options: Any) -> AsyncIterator[None]:
    serve = import_module("hypercorn.asyncio").serve
    config = import_module("hypercorn.config").Config.from_mapping(bind=[f"unix:{path}"], graceful_timeout=1, **options)
    stop = asyncio.Event()
    task = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    try:
        await _listens(path, task)
        yield
    finally:
        stop.set()
        await task


@asynccontextmanager
async def granian(app: Any, path: Path, **options: Any) -> AsyncIterator[None]:
    server = import_module("granian.server.embed").Server(app, uds=path, interface="asgi", log_enabled=False, **options)
    task = asyncio.create_task(server.serve())
    try:
        await _listens(path, task)
        yield
    finally:
        server.stop()
        await task


_KINDS: dict[str, tuple[Callable[..., AbstractAsyncContextManager[None]], bool]] = {
    "uvicorn": (uvicorn, False),
    "hypercorn": (hypercorn, False),
    "hypercorn-http2": (hypercorn, True),
    "granian": (granian, False),
    "granian-http2": (granian, True),
}


class Served:
    """An application under another server; ``client()`` speaks what the server is asked to speak."""

    def __init__(self, kind: str, path: Path) -> None:
        self.kind = kind
        self.path = path
        self.http2 = _KINDS[kind][1]

    def client(self) -> httpx2.AsyncClient:
        transport = httpx2.AsyncHTTPTransport(uds=str(self.path), http1=not self.http2, http2=self.http2)
        return httpx2.AsyncClient(transport=transport, base_url="http://a", timeout=PATIENCE)


@asynccontextmanager
async def served(kind: str, app: Any, path: Path, **options: Any) -> AsyncIterator[Served]:
    async with _KINDS[kind][0](app, path, **options):
        yield Served(kind, path)


def each_server(*without: str) -> pytest.MarkDecorator:
    """Run a test under every server; one that is not installed is skipped."""
    kinds = []
    for kind in _KINDS:
        if kind not in without:
            package = kind.partition("-")[0]
            missing = importlib.util.find_spec(package) is None
            marks = [pytest.mark.skipif(missing, reason=f"{package} is not installed")]
            kinds.append(pytest.param(kind, marks=marks))
    return pytest.mark.parametrize("kind", kinds)
