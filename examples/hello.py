"""The smallest application.

python examples/hello.py
curl http://127.0.0.1:8000/            Hello, world!
curl http://127.0.0.1:8000/greet/ann   {"hello":"ann"}
"""

from sanicish import Sanic
from sanicish.response import json, text

app = Sanic("hello")


@app.get("/")
async def hello(request):
    return text("Hello, world!")


@app.get("/greet/<name>")
async def greet(request, name):
    return json({"hello": name})


if __name__ == "__main__":
    app.run()
