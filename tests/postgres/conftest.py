"""A pool on a real PostgreSQL, and an application that answers with what it is given."""

import asyncio

import asyncpg
import pytest

from sanicish.postgres import Postgres
from sanicish.testing.postgres import running
from tests.doubles.databases import debian_programs
from tests.doubles.wire import PATIENCE, Wire, talk


@pytest.fixture(scope="session")
def debian():
    """Debian's PostgreSQL, which is older than the one that most tests use."""
    with running(debian_programs()) as dsn:
        yield Postgres(dsn)


@pytest.fixture(params=["postgres", "debian"])
def server(request):
    """The PostgreSQL that most tests use, then Debian's."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def pool(postgres):
    """Two connections to a database that all tests share: for those that write nothing that stays."""
    async with asyncpg.create_pool(postgres.at("test"), min_size=1, max_size=2) as pool:
        yield pool
        async with asyncio.timeout(PATIENCE):  # whoever did not give a connection back shows itself here
            connections = [await pool.acquire() for _ in range(2)]
        for connection in connections:
            await pool.release(connection)


class Rows:
    """A route whose response is made anew for each request."""

    def __init__(self, address):
        self.address = address

    async def get(self, path="/"):
        """The complete response, as h11 read it."""
        async with Wire(self.address) as wire:
            wire.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            return await wire.answer()

    async def raw(self):
        return await talk(self.address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")


@pytest.fixture
def answering(app, serve):
    """Serve a function that makes a response."""

    async def start(make):
        app.get("/")(lambda request: make())
        return Rows(await serve(app))

    return start
