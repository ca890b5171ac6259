"""The servers that are measured: where each comes from and how it is started, one worker, no access log.

Each folder holds the same small application, written the way its framework's documentation does it:

    GET  /plain                  Hello, World!
    GET  /json/<id>?q=<text>     {"id": <id as a number>, "q": <text>}
    GET  /stream/<count>/<size>  count pieces, each waited for, of size - 1 times "x" and a line end
    GET  /sync/<count>/<size>    the same by a plain generator
    POST /upload                 reads piece by piece; answers how many bytes arrived
    POST /echo                   sends each piece back as it comes
    POST /stall                  reads one piece, then nothing for a minute
    GET  /file/small             $BENCH_FILES/small.bin, as the framework sends files; so with large
    GET  /rows/each              all of the table orders as CSV: one write for each row of a cursor;
                                 /rows/batch one write for 1 000 rows, /rows/copy what COPY gives ($BENCH_DSN)
    GET  /events                 server-sent events: "ready", then what is published until the end
    POST /publish/<count>        so many events to all who listen, then their end; answers "published"

What a framework has no way to do it answers with 501, and is left out of that scenario.
"""

from dataclasses import dataclass

__all__ = ["SERVERS", "Server"]

_ASGI = (
    "app:app --port {port} --loop uvloop --http httptools --no-access-log --log-level warning --timeout-keep-alive 75"
)
_GRANIAN = "--port {port} --workers 1 --runtime-threads 1 --loop uvloop --no-ws --backlog 8192 --backpressure 8192 --log-level warning"


@dataclass(frozen=True)
class Server:
    """One server; ``command`` runs in ``folder`` and may use {python}, {bin} and {port}.

    ``packages`` are installed into a venv of their own, with the interpreter ``python``; without packages it is the
    environment that the benchmarks run in. ``imports`` are the modules an application of it begins with.
    """

    name: str
    command: str
    folder: str
    imports: str = ""
    packages: tuple[str, ...] = ()
    python: str = ""
    program: str = ""  # of the system, that must be there


SERVERS = (
    Server("bare", "{python} app.py {port}", "bare", "uvloop, httptools"),
    Server("sanicish", "{python} app.py {port}", "sanicish", "sanicish"),
    Server("sanic", "{python} app.py {port}", "sanic", "sanic", ("sanic", "asyncpg")),
    Server(
        "sanic-20.12",
        "{python} app.py {port}",
        "sanic20",
        "sanic",
        ("sanic==20.12.*", "asyncpg"),
        python="python3.8",
    ),
    Server(
        "uvicorn",
        "{bin}/uvicorn " + _ASGI,
        "asgi",
        "uvicorn",
        ("uvicorn[standard]", "asyncpg"),
    ),
    Server(
        "starlette",
        "{bin}/uvicorn " + _ASGI,
        "starlette",
        "uvicorn, starlette.applications, starlette.routing, starlette.responses",
        ("starlette", "uvicorn[standard]", "asyncpg"),
    ),
    Server("aiohttp", "{python} app.py {port}", "aiohttp", "aiohttp.web", ("aiohttp[speedups]", "uvloop", "asyncpg")),
    Server(
        "granian-rsgi",
        "{bin}/granian app:app --interface rsgi " + _GRANIAN,
        "granian",
        "granian",
        ("granian[uvloop]", "asyncpg"),
    ),
    Server(
        "granian-asgi",
        "{bin}/granian app:app --interface asgi " + _GRANIAN,
        "asgi",
        "granian",
        ("granian[uvloop]", "asyncpg"),
    ),
    Server(
        "blacksheep",
        "{bin}/uvicorn " + _ASGI,
        "blacksheep",
        "uvicorn, blacksheep",
        ("blacksheep", "uvicorn[standard]", "asyncpg"),
    ),
    Server(
        "quart",
        "{bin}/hypercorn app:app --bind 127.0.0.1:{port} --worker-class uvloop --workers 1 --keep-alive 75 --backlog 2048",
        "quart",
        "quart, hypercorn",
        ("quart", "hypercorn[uvloop]", "asyncpg"),
    ),
    Server("nginx", "{python} app.py {port}", "nginx", program="nginx"),
)
