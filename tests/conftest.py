"""What all tests share: both event loops, and applications on real sockets."""

import asyncio
import gc
import itertools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
import uvloop

from sanicish import Sanic
from sanicish.postgres import Postgres, temporary

_BOTH_LOOPS = ("tests/wire", "tests/server")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--eager-tasks", action="store_true", help="run with asyncio.eager_task_factory (Python 3.12 or newer)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """With ``--eager-tasks`` every loop of this process has that factory, those of servers in threads too."""
    if config.getoption("--eager-tasks"):
        if sys.version_info < (3, 12):
            raise pytest.UsageError("--eager-tasks needs Python 3.12 or newer")
        for module in (asyncio, asyncio.events, uvloop):
            module.new_event_loop = _eager(module.new_event_loop)  # type: ignore[attr-defined]


def _eager_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
    options.pop("eager_start", None)  # uvloop 0.23 passes it to factories of Pythons that do not know it
    return asyncio.eager_task_factory(loop, coroutine, **options)  # type: ignore[attr-defined, unused-ignore]


def _eager(new_event_loop: Callable[[], asyncio.AbstractEventLoop]) -> Callable[[], asyncio.AbstractEventLoop]:
    def new() -> asyncio.AbstractEventLoop:
        loop = new_event_loop()
        loop.set_task_factory(_eager_task)
        return loop

    return new


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """``@pytest.mark.lazy_tasks``: what is tested needs tasks that do not run as they are created."""
    if config.getoption("--eager-tasks"):
        for item in items:
            if item.get_closest_marker("lazy_tasks") is not None:
                item.add_marker(pytest.mark.skip(reason="needs tasks that do not run as they are created"))


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """uvloop everywhere, asyncio's own loop too where sockets and timeouts are the subject."""
    factories: dict[str, Any] = {"uvloop": uvloop.new_event_loop}
    if any(part in item.nodeid for part in _BOTH_LOOPS):
        factories["asyncio"] = asyncio.new_event_loop
    return factories


def pytest_collection_finish() -> None:
    """What the tests import stays for ever: no collection after a test needs to look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def app() -> Sanic:
    """A fresh application, known to nobody else."""
    return Sanic("test", configure_logging=False, register=False, load_env=False)


Serve = Callable[..., Awaitable[Any]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start an application on a free port; gives its address, and stops it after the test."""
    servers = []

    async def start(app: Sanic, **options: Any) -> Any:
        where = {} if "unix" in options else {"port": 0}
        server = await app.create_server(access_log=False, **where, **options)
        servers.append(server)
        return server.sockets[0].getsockname()

    yield start
    for server in servers:
        app = server.server.app
        app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0.1
        app.config.STREAM_CLEANUP_TIMEOUT = 1
        server.close()
        await server.wait_closed()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, started when it is first asked for and then shared, with a database ``test`` in it."""
    with temporary() as server:
        with suppress(asyncpg.DuplicateDatabaseError):  # a server of the user's own may have it
            asyncio.run(server.create("test"))
        yield server


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[str]:
    """The DSN of a database that is new, empty, and gone after the test."""
    async with postgres.fresh() as dsn:
        yield dsn


Connect = Callable[..., Awaitable["asyncpg.Connection[Any]"]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connect to a database; closed after the test, also after one that fails."""
    connections: list[asyncpg.Connection[Any]] = []

    async def start(dsn: str, **options: Any) -> "asyncpg.Connection[Any]":
        connections.append(await asyncpg.connect(dsn, **options))
        return connections[-1]

    yield start
    for connection in connections:
        await connection.close(timeout=5)


_ended = itertools.count(1)


@pytest.fixture(autouse=True)
def _no_leaks() -> Any:
    """Whatever a test left behind shows itself in that test, not in a later one."""
    yield
    gc.collect()
    if not next(_ended) % 100:  # what tests import and cache stays, too, and would be looked at thousands of times
        gc.freeze()
