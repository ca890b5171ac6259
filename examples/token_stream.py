"""Words of a language model as it finds them, by server-sent events; when the reader leaves, the model stops.

python examples/token_stream.py
curl -N --json '{"prompt": "what is a stream"}' http://127.0.0.1:8000/completions     Ctrl-C stops the model
"""

import asyncio
from contextlib import aclosing

from sanicish import Sanic, sse
from sanicish.exceptions import BadRequest

app = Sanic("tokens")
app.ctx.seconds = 0.2  # for one word
app.ctx.at_work = 0  # how often the model is thinking now


async def think(prompt):
    """A stand-in for a model: it says the words of its prompt, last one first."""
    app.ctx.at_work += 1
    try:
        for word in reversed(prompt.split()):
            await asyncio.sleep(app.ctx.seconds)
            yield word
    finally:  # also when the reader leaves, at once
        app.ctx.at_work -= 1


@app.post("/completions")
async def completions(request):
    prompt = request.json.get("prompt") if isinstance(request.json, dict) else None
    if not isinstance(prompt, str) or not prompt:
        raise BadRequest("a prompt is wanted")  # before the stream begins, so it is a 400 still

    async def tokens():
        async with aclosing(think(prompt)) as words:
            async for word in words:
                yield {"token": word}
        yield "[DONE]"

    return sse(tokens())


@app.get("/at-work")
async def at_work(request):
    return {"at_work": app.ctx.at_work}


if __name__ == "__main__":
    app.run()
