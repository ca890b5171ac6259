"""Stream a table as CSV; the database waits while the client is slow, and stops when it leaves.

DSN=postgresql://localhost/test python examples/csv_from_postgres.py
curl http://127.0.0.1:8000/squares.csv
curl http://127.0.0.1:8000/squares.json?above=500
"""

import os

import asyncpg

from sanicish import Sanic
from sanicish.postgres import stream_query

app = Sanic("rows")
app.ctx.dsn = os.environ.get("DSN")

SQUARES = "SELECT n, n * n AS square FROM generate_series(1, 1000) AS n WHERE n > $1"


@app.before_server_start
async def connect(app):
    app.ctx.pool = await asyncpg.create_pool(app.ctx.dsn, min_size=1)


@app.after_server_stop
async def disconnect(app):
    await app.ctx.pool.close()


@app.get("/squares.<format:csv|json|ndjson>")
async def squares(request, format):
    above = int(request.args.get("above", 0))
    return stream_query(app.ctx.pool, SQUARES, above, format=format)


if __name__ == "__main__":
    app.run()
