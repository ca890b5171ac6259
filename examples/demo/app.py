"""The demo's application: every route streams something, and the page shows it."""

import asyncio
import hashlib
import os
import resource
import time
from datetime import datetime
from pathlib import Path

import asyncpg

from sanicish import Channel, Request, Sanic, StreamingHTTPResponse, file, json, sse, stream, text
from sanicish.events import EventSender
from sanicish.live.view import live_view
from sanicish.postgres import stream_query

ROWS = 1_000_000
PAGE = Path(__file__).with_name("page.html")
ORDERS = "SELECT id, customer, total FROM orders ORDER BY id"
RUNNING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE state IN ('active', 'idle in transaction') AND pid <> pg_backend_pid() AND query LIKE '%FROM orders%'"""


def is_on_this_machine(request: Request) -> bool:
    """Whether a browser on this machine asks; a proxy on this machine would ask for everybody."""
    return request.ip in ("127.0.0.1", "::1") and request.server_name in ("localhost", "127.0.0.1", "[::1]")


def make_app(dsn: str, large_file: Path) -> Sanic:
    """The application, with a database to read from and a large file to send."""
    app = Sanic("demo")
    app.blueprint(live_view(allow=is_on_this_machine))  # without allow= it takes the token that is in the log
    app.ctx.news = Channel()
    app.ctx.progress = {}

    @app.before_server_start
    async def connect(app: Sanic) -> None:
        app.ctx.pool = await asyncpg.create_pool(dsn, min_size=1, max_size=8)
        await app.ctx.pool.execute(f"""
            CREATE TABLE IF NOT EXISTS orders AS
            SELECT id, 'customer ' || id % 1000 AS customer, ((id * 37 % 100000) / 100.0)::numeric(10, 2) AS total
            FROM generate_series(1, {ROWS}) AS id""")
        app.add_task(tell_the_time)

    @app.before_server_stop
    async def say_goodbye(app: Sanic) -> None:
        app.ctx.news.close()

    @app.after_server_stop
    async def disconnect(app: Sanic) -> None:
        await app.ctx.pool.close()

    async def tell_the_time(app: Sanic) -> None:
        """What all pages are told, five times a second while there is one."""
        while True:
            if len(app.ctx.news):
                told = {
                    "time": f"{datetime.now():%H:%M:%S}",
                    "memory": memory() / 2**20,
                    "queries": await app.ctx.pool.fetchval(RUNNING),
                }
                if not app.is_stopping:
                    app.ctx.news.publish(told, event="clock")
            await asyncio.sleep(0.2)

    @app.get("/")
    async def index(request: Request):
        """The page for browsers, the tour for curl."""
        if "text/html" in request.accept:
            return await file(PAGE, headers={"Vary": "Accept"})
        return text(f"{app.ctx.tour}\n")

    @app.get("/events")
    async def events(request: Request):
        """One producer, many clients."""
        return sse(app.ctx.news)

    @app.post("/say")
    async def say(request: Request):
        app.ctx.news.publish(request.body.decode("utf-8", "replace")[:200], event="said")
        return text("said", status=202)

    @app.get("/progress/<id:[a-f0-9-]+>")
    async def progress(request: Request, id: str):
        """How far an upload has been read."""
        told = app.ctx.progress.setdefault(id, asyncio.Queue())

        async def send(events: EventSender) -> None:
            try:
                await events.send("now", event="ready")
                while True:
                    seen = await told.get()
                    await events.send(seen, event="progress")
                    if "sha256" in seen:
                        return
            finally:
                app.ctx.progress.pop(id, None)

        return sse(send)

    @app.route("/upload", methods=["POST", "PUT"], stream=True)
    async def upload(request: Request):
        """Count and digest an upload of any size without ever holding it."""
        queue = app.ctx.progress.get(request.args.get("id"))
        digest, began, told = hashlib.sha256(), time.monotonic(), 0.0
        async for data in request.stream:
            digest.update(data)
            if queue is not None and time.monotonic() - told > 0.1:
                told = time.monotonic()
                queue.put_nowait(seen(request, began))
        whole = {**seen(request, began), "sha256": digest.hexdigest()}
        if queue is not None:
            queue.put_nowait(whole)
        return json(whole)

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
        """The rows as CSV, as fast as the database gives them."""
        return stream_query(app.ctx.pool, ORDERS)

    @app.get("/rows")
    async def rows(request: Request):
        """A cursor, batch by batch; the database waits while the client is slow."""
        return stream_query(app.ctx.pool, ORDERS, format="ndjson", batch=500)

    @app.get("/large")
    async def large(request: Request):
        """A file of 1 GiB, by the kernel, with ranges."""
        return await file(large_file, mime_type="application/octet-stream")

    @app.get("/firehose")
    async def firehose(request: Request):
        """More than anybody can read."""

        async def write(response: StreamingHTTPResponse) -> None:
            piece = bytes(65_536)
            while True:
                await response.write(piece)

        return stream(write, content_type="application/octet-stream")

    @app.get("/broken")
    async def broken(request: Request):
        """Fails when it is too late for a page."""

        async def write(response: StreamingHTTPResponse) -> None:
            for number in range(3):
                await response.write(f"piece {number}\n")
                await asyncio.sleep(0.05)
            raise RuntimeError("this is the error in mid-stream that the demo shows")

        return stream(write)

    return app


def seen(request: Request, began: float) -> dict[str, float]:
    """How much of an upload has arrived, and how fast, in MiB a second."""
    size = request.stream.received
    return {"bytes": size, "rate": round(size / 2**20 / max(time.monotonic() - began, 1e-6), 1)}


def memory() -> int:
    """Bytes of this process that are in memory."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux: the most there ever was
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
