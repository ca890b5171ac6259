"""Answer each piece of a request while the next one is still on its way.

python examples/echo_both_ways.py
(echo one; sleep 1; echo two) | curl -N -T - -X POST http://127.0.0.1:8000/
"""

from sanicish import Sanic
from sanicish.response import stream

app = Sanic("echo")


@app.post("/", stream=True)
async def echo(request):
    async def answer(response):
        async for data in request.stream:
            await response.write(data.upper())

    return stream(answer)


if __name__ == "__main__":
    app.run()
