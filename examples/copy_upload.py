"""Send an upload straight into a table of PostgreSQL, all of it or nothing; memory stays flat on both sides.

DSN=postgresql://localhost/test python examples/copy_upload.py
curl -T people.csv http://127.0.0.1:8000/people.csv     id,name on the first line
curl http://127.0.0.1:8000/people.csv
"""

import os

import asyncpg

from sanicish import Sanic, json
from sanicish.postgres import stream_copy, upload_copy

app = Sanic("people")
app.ctx.dsn = os.environ.get("DSN")


@app.before_server_start
async def connect(app):
    app.ctx.pool = await asyncpg.create_pool(app.ctx.dsn, min_size=1)
    await app.ctx.pool.execute("CREATE TABLE IF NOT EXISTS people (id int PRIMARY KEY, name text NOT NULL)")


@app.after_server_stop
async def disconnect(app):
    await app.ctx.pool.close()


@app.put("/people.csv", stream=True)
async def fill(request):
    rows = await upload_copy(app.ctx.pool, "people", request.stream)  # a bad line is a 400 that names it
    return json({"rows": rows}, status=201)


@app.get("/people.csv")
async def people(request):
    return stream_copy(app.ctx.pool, "SELECT * FROM people ORDER BY id", filename="people.csv")


if __name__ == "__main__":
    app.run()
