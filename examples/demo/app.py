"""The demo's application: every route streams something."""

import asyncio
import hashlib
import time
from datetime import datetime
from pathlib import Path

import asyncpg

from sanicish import Request, Sanic, StreamingHTTPResponse, file, json, stream, text

ROWS = 1_000_000


def make_app(dsn: str, large_file: Path) -> Sanic:
    """The application, with a database to read from and a large file to send."""
    app = Sanic("demo")

    @app.before_server_start
    async def connect(app: Sanic) -> None:
        app.ctx.pool = await asyncpg.create_pool(dsn, min_size=1, max_size=8)
        await app.ctx.pool.execute(f"""
            CREATE TABLE IF NOT EXISTS orders AS
            SELECT id, 'customer ' || id % 1000 AS customer, (id * 37 % 100000) / 100.0 AS total
            FROM generate_series(1, {ROWS}) AS id""")

    @app.after_server_stop
    async def disconnect(app: Sanic) -> None:
        await app.ctx.pool.close()

    @app.get("/")
    async def index(request: Request):
        return text(f"{app.ctx.tour}\n")

    @app.route("/upload", methods=["POST", "PUT"], stream=True)
    async def upload(request: Request):
        """Count and digest an upload of any size without ever holding it."""
        digest, started = hashlib.sha256(), time.monotonic()
        async for data in request.stream:
            digest.update(data)
        seconds = time.monotonic() - started
        size = request.stream.received
        return json({"bytes": size, "sha256": digest.hexdigest(), "MB_per_s": round(size / 1e6 / max(seconds, 1e-6))})

    @app.post("/echo", stream=True)
    async def echo(request: Request):
        """Answer each piece of the request while the next one is still being sent."""

        async def shout(response: StreamingHTTPResponse) -> None:
            async for data in request.stream:
                await response.write(data.upper())

        return stream(shout)

    @app.get("/clock")
    async def clock(request: Request):
        """Never ends; stops at once when the client leaves."""

        async def tick(response: StreamingHTTPResponse) -> None:
            while True:
                await response.write(f"{datetime.now().isoformat(timespec='seconds')}\n")
                await asyncio.sleep(1)

        return stream(tick)

    @app.get("/orders.csv")
    async def orders(request: Request):
        """Read a cursor row by row; the database waits while the client is slow."""

        async def rows(response: StreamingHTTPResponse) -> None:
            async with app.ctx.pool.acquire() as connection, connection.transaction():
                await response.write("id,customer,total\n")
                query = "SELECT id, customer, total FROM orders ORDER BY id"
                async for row in connection.cursor(query, prefetch=1000):
                    await response.write(f"{row['id']},{row['customer']},{row['total']:.2f}\n")

        return stream(rows, content_type="text/csv")

    @app.get("/large")
    async def large(request: Request):
        """A file of 1 GiB."""
        return await file(large_file, mime_type="application/octet-stream")

    return app
