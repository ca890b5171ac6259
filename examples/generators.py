"""Stream by generators, sync and async, the way of Flask and Quart; and rows as CSV.

python examples/generators.py
curl -N http://127.0.0.1:8000/countdown?from=5
curl http://127.0.0.1:8000/squares.csv
"""

import time

from sanicish import Sanic, csv, request

app = Sanic("generators")
app.ctx.seconds = 0.5


@app.get("/countdown")
def countdown():
    start = int(request.args["from"])  # looked up before the stream begins: a missing one is a 400

    def generate():
        for number in range(start, 0, -1):
            yield f"{number}\n"
            time.sleep(app.ctx.seconds)  # it runs in a thread, and the loop goes on
        yield f"{request.path} is over\n"

    return generate()


@app.get("/squares.csv")
async def squares():
    async def rows():
        for number in range(1000):
            yield {"n": number, "square": number * number}

    return csv(rows(), filename="squares.csv")


if __name__ == "__main__":
    app.run()
