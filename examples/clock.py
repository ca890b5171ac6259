"""A stream that never ends, and stops at once when the client leaves.

python examples/clock.py
curl -N http://127.0.0.1:8000/
"""

import asyncio
from datetime import datetime

from sanicish import Sanic
from sanicish.response import stream

app = Sanic("clock")
app.ctx.seconds = 1.0


@app.get("/")
async def clock(request):
    async def tick(response):
        while True:
            await response.write(f"{datetime.now().isoformat()}\n")
            await asyncio.sleep(app.ctx.seconds)

    return stream(tick)


if __name__ == "__main__":
    app.run()
