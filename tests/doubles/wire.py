"""A client that speaks bytes: what it sends is what is on the wire, and it sees every byte of the response."""

import asyncio
import socket
import struct
from types import TracebackType
from typing import Any

from h11 import CLIENT, NEED_DATA, Connection, Data, EndOfMessage, Request, Response

PATIENCE = 10.0  # seconds until a test that waits for bytes gives up


class Wire:
    """One connection to ``address``; ``async with`` opens and closes it."""

    def __init__(self, address: Any) -> None:
        self.address = address
        self.seen = b""  # everything received

    async def __aenter__(self) -> "Wire":
        opening = (
            asyncio.open_unix_connection(self.address)
            if isinstance(self.address, str)
            else asyncio.open_connection(*self.address[:2], limit=2**24)
        )
        self.reader, self.writer = await opening
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()

    def send(self, data: bytes) -> None:
        if self.writer.transport.is_closing():  # uvloop raises a RuntimeError then, asyncio says nothing
            raise ConnectionResetError("the server has closed the connection")
        self.writer.write(data)

    def half_close(self) -> None:
        self.writer.write_eof()

    def reset(self) -> None:
        """Leave with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until(self, mark: bytes) -> bytes:
        """Read up to and with ``mark``; fails if the connection ends before."""
        async with asyncio.timeout(PATIENCE):
            data = await self.reader.readuntil(mark)
        self.seen += data
        return data

    async def exactly(self, count: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            data = await self.reader.readexactly(count)
        self.seen += data
        return data

    async def some(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            data = await self.reader.read(65_536)
        self.seen += data
        return data

    async def rest(self) -> bytes:
        """Read until the server closes; a reset counts as an end."""
        data = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while piece := await self.reader.read(65_536):
                    data += piece
            except ConnectionResetError:
                pass
        self.seen += data
        return data

    async def answer(self, method: str = "GET") -> "Answer":
        """Read one complete response, as h11 understands it."""
        return await read_answer(self, method)


class Answer:
    """One answer as h11 read it."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes, raw: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.raw = raw


async def read_answer(wire: Wire, method: str) -> Answer:
    judge = Connection(CLIENT)
    judge.send(Request(method=method, target="/", headers=[("Host", "a")]))
    judge.send(EndOfMessage())
    start = len(wire.seen)
    status, headers, body = 0, {}, b""
    while True:
        event = judge.next_event()
        if event is NEED_DATA:
            async with asyncio.timeout(PATIENCE):
                data = await wire.reader.read(1)
            wire.seen += data
            judge.receive_data(data)
        elif isinstance(event, Response):
            status = event.status_code
            headers = {name.decode(): value.decode() for name, value in event.headers}
        elif isinstance(event, Data):
            body += bytes(event.data)
        elif isinstance(event, EndOfMessage):
            return Answer(status, headers, body, wire.seen[start:])


async def talk(address: Any, data: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes on a connection of their own and read until the server closes it."""
    async with Wire(address) as wire:
        wire.send(data)
        if half_close:
            wire.half_close()
        return await wire.rest()
