"""Whatever runs side by side, every stream sees its own request and no other."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish import Response, Sanic, request, stream_with_context
from tests.doubles.wire import Wire

KINDS = ("later", "sync", "inline", "pinned", "callback")


def application():
    app = Sanic("context", configure_logging=False, register=False, load_env=False)

    async def seen(steps):
        for step in range(steps):
            await asyncio.sleep(0)
            yield f"{request.args['n']}/{request.path.rsplit('/', 1)[1]}\n"

    def seen_now(steps):
        for step in range(steps):
            yield f"{request.args['n']}/{request.path.rsplit('/', 1)[1]}\n"

    app.get("/later/<steps:int>")(lambda steps: seen(steps))
    app.get("/sync/<steps:int>")(lambda steps: seen_now(steps))
    app.get("/inline/<steps:int>", inline=True)(lambda steps: seen_now(steps))
    app.get("/pinned/<steps:int>")(lambda steps: Response(stream_with_context(seen_now)(steps)))

    @app.get("/callback/<steps:int>")
    async def callback(given, steps):
        response = await given.respond()
        async for line in seen(steps):
            await response.write(line)

    return app


requests = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9)), min_size=1, max_size=12)


@pytest.mark.slow
@given(requests)
def test_no_context_leaks_between_streams_that_run_at_once(wanted):
    async def ask(address, number, kind, steps):
        async with Wire(address) as wire:
            wire.send(f"GET /{kind}/{steps}?n={number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            return (await wire.answer()).body.decode()

    async def run():
        server = await application().create_server(port=0, access_log=False)
        address = server.sockets[0].getsockname()
        try:
            return await asyncio.gather(*(ask(address, n, *one) for n, one in enumerate(wanted)))
        finally:
            server.close()
            await server.wait_closed()

    answers = asyncio.run(run())
    assert answers == [f"{number}/{steps}\n" * steps for number, (_, steps) in enumerate(wanted)]
