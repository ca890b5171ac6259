"""Stream a database cursor as CSV; the database waits while the client is slow.

DSN=postgresql://localhost/test python examples/csv_from_postgres.py
curl http://127.0.0.1:8000/squares.csv
"""

import os

import asyncpg

from sanicish import Sanic
from sanicish.response import stream

app = Sanic("rows")
app.ctx.dsn = os.environ.get("DSN")


@app.before_server_start
async def connect(app):
    app.ctx.pool = await asyncpg.create_pool(app.ctx.dsn, min_size=1)


@app.after_server_stop
async def disconnect(app):
    await app.ctx.pool.close()


@app.get("/squares.csv")
async def squares(request):
    async def rows(response):
        async with app.ctx.pool.acquire() as connection, connection.transaction():
            await response.write("n,square\n")
            query = "SELECT n, n * n AS square FROM generate_series(1, 1000) AS n"
            async for row in connection.cursor(query, prefetch=100):
                await response.write(f"{row['n']},{row['square']}\n")

    return stream(rows, content_type="text/csv")


if __name__ == "__main__":
    app.run()
