"""Both ends of an ASGI call, by hand."""

import asyncio
from typing import Any


def scope_of(method: str = "GET", path: str = "/", *, body: bool = False, **more: Any) -> dict[str, Any]:
    """A scope of HTTP/1.1; with a ``body`` the head announces chunks."""
    headers = [(b"host", b"a"), *more.pop("headers", ())]
    if body:
        headers.append((b"transfer-encoding", b"chunked"))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("192.0.2.1", 1234),
        "server": ("192.0.2.2", 80),
        **more,
    }


class AsgiServer:
    """What a server gives an application: ``receive`` and ``send``, turned by hand."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for message in messages:
            self._incoming.put_nowait(message)
        self.sent: list[dict[str, Any]] = []
        self.room = asyncio.Event()  # cleared: send() waits
        self.room.set()
        self.gone = False  # send() raises
        self.received = 0
        self.changed = asyncio.Event()

    def feed(self, body: bytes = b"", more: bool = False) -> None:
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        message = await self._incoming.get()
        self.received += 1
        return message

    async def send(self, message: dict[str, Any]) -> None:
        if self.gone:
            raise OSError("the client is gone")
        self.sent.append(message)
        self.changed.set()
        await self.room.wait()

    async def until(self, count: int) -> None:
        """Wait until so many messages were sent."""
        async with asyncio.timeout(10):
            while len(self.sent) < count:
                self.changed.clear()
                await self.changed.wait()

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def ended(self) -> bool:
        return bool(self.sent) and not self.sent[-1].get("more_body", True)
