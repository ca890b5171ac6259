"""A million small writes: they leave in batches, and other requests get their turn in between.

python examples/count_to_a_million.py
curl http://127.0.0.1:8000/1000000 | tail -1
"""

from sanicish import Sanic
from sanicish.response import stream

app = Sanic("count")


@app.get("/<limit:int>")
async def count(request, limit):
    async def numbers(response):
        for number in range(1, limit + 1):
            await response.write(f"{number}\n")

    return stream(numbers)


if __name__ == "__main__":
    app.run()
