"""However a body is written: it comes out as it went in, and all of it can be read after every flush and every pause."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from sanicish import Sanic, stream
from tests.compression.decoding import ENCODINGS, Decoder
from tests.doubles.asgi import AsgiServer, scope_of

SIZES = st.sampled_from([0, 1, 10, 1000, 65_535, 65_536, 65_537, 200_000])
STEPS = st.lists(st.tuples(st.sampled_from(["await", "write", "flush", "pause"]), SIZES), max_size=8)


def data_of(count, size):
    return (b"%d," % count * (size // 2 + 1))[:size]


async def run(encoding, steps):
    app = Sanic("property", register=False, configure_logging=False, load_env=False)
    app.compress()
    server = AsgiServer()
    decoder = Decoder(encoding)
    written, seen, taken = b"", b"", 1

    def read():
        nonlocal seen, taken
        for message in server.sent[taken:]:
            if message["body"]:
                seen += decoder.read(message["body"])
        taken = max(taken, len(server.sent))
        return seen

    @app.get("/")
    async def handler(request):
        async def write(response):
            nonlocal written
            for count, (step, size) in enumerate(steps):
                if step in ("await", "write"):
                    written += data_of(count, size)
                    done = response.write(data_of(count, size))
                    if step == "await":
                        await done
                elif step == "flush":
                    await response.flush()
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    assert read() == written
                else:
                    for _ in range(3 * (len(written) // 65_536 + 3)):
                        await asyncio.sleep(0)
                    assert read() == written

        return stream(write)

    await app(scope_of(headers=[(b"accept-encoding", encoding.encode())]), server.receive, server.send)
    assert read() == written
    assert decoder.whole
    assert server.ended


@settings(max_examples=60, deadline=None)
@given(encoding=st.sampled_from(ENCODINGS), steps=STEPS)
def test_what_is_written_is_what_is_read_at_every_flush_and_pause(encoding, steps):
    asyncio.run(run(encoding, steps))
