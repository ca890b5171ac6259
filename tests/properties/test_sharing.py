"""Whatever handlers do with their requests, no request shows what was done with another, or what another client sent."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanicish import Sanic
from sanicish.response import json
from tests.doubles.wire import Wire

MARK = "changed"
PARTS = ("head", "headers", "raw_headers", "args", "query_args", "cookies", "form", "match_info", "forwarded", "path")


def shown(request):
    """All that a handler can see of its request, as text."""
    parts = {name: str(getattr(request, name)) for name in PARTS}
    stream = request.stream
    told = [stream.fields, stream.trailers, stream.total, stream.received, stream.unread, stream.request_max_size]
    return {**parts, "ctx": str(request.ctx), "stream": str(told if request.method == "GET" else told[1])}


def spoil(request):
    """Change whatever can be reached, in every way; each that is refused is as good."""
    head, stream = request.head, request.stream
    mark = (MARK.encode(), MARK.encode())
    for change in (
        lambda: head.fields.append(mark),
        lambda: head.fields.__setitem__(0, mark),
        lambda: setattr(head, "fields", (mark,)),
        lambda: setattr(head, "target", b"/" + mark[0]),
        lambda: setattr(head, "path", MARK),
        lambda: setattr(head, MARK, MARK),
        lambda: delattr(head, "method"),
        lambda: request.raw_headers.append(mark),
        lambda: request.headers.add(MARK, MARK),
        lambda: request.headers.clear(),
        lambda: request.args.setdefault("a", []).append(MARK),
        lambda: request.query_args.append(mark),
        lambda: request.cookies.__setitem__(MARK, MARK),
        lambda: request.form.setdefault(MARK, []).append(MARK),
        lambda: request.match_info.__setitem__(MARK, MARK),
        lambda: request.forwarded.__setitem__("for", MARK),
        lambda: setattr(request.ctx, MARK, MARK),
        lambda: setattr(request, "path", MARK),
        lambda: stream.trailers.add(MARK, MARK),
        lambda: setattr(stream, "fields", (mark,)),
        lambda: setattr(stream, "total", 7),
        lambda: setattr(stream, "request_max_size", 7),
        *[lambda: stream.feed(mark[0]), lambda: stream.limit(-1)] * (request.method == "GET"),  # a body is its own
    ):
        with suppress(AttributeError, TypeError, RuntimeError):
            change()


def application():
    app = Sanic("sharing", configure_logging=False, register=False, load_env=False)

    @app.route("/<name>", methods=["GET", "POST"], stream=True)
    @app.route("/", methods=["GET", "POST"], stream=True, name="root")
    async def handler(request, **values):
        body = await request.receive_body()
        seen = shown(request) | {"values": str(values), "body": body.decode()}
        spoil(request)
        values[MARK] = MARK
        return json(seen)

    return app


CREDENTIALS = (
    "",
    "Cookie: who=bob\r\n",
    "Authorization: Bearer bob\r\n",
    "X-User: bob\r\nX-Forwarded-For: 10.0.0.7\r\n",
)
REQUESTS = [
    f"{line} HTTP/1.1\r\nHost: a\r\n{credentials}{end}"
    for line in ("GET /", "GET /?a=b", "GET /bob?a=b", "POST /bob?a=b")
    for credentials in CREDENTIALS
    for end in [
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\nx=bob"
        if line.startswith("POST")
        else "\r\n"
    ]
]


async def answers(asked):
    """What each request was shown: of a client's number and the request it sends on its one connection."""
    server = await application().create_server(port=0, access_log=False)
    address = server.sockets[0].getsockname()
    wires = [Wire(address) for _ in range(3)]
    found = []
    try:
        for wire in wires:
            await wire.__aenter__()
        for client, number in asked:
            wires[client].send(REQUESTS[number].encode())
            answer = await wires[client].answer(REQUESTS[number].split()[0])
            assert answer.status == 200
            found.append(answer.body.decode())
    finally:
        for wire in wires:
            await wire.__aexit__(None, None, None)
        server.close()
        await server.wait_closed()
    return found


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, len(REQUESTS) - 1)), min_size=2, max_size=24))
def test_no_request_shows_what_was_done_with_another(asked):
    first = {}
    for (_, number), shown in zip(asked, asyncio.run(answers(asked)), strict=True):
        assert MARK not in shown
        assert first.setdefault(number, shown) == shown
        if "bob" not in REQUESTS[number]:
            assert "bob" not in shown


async def test_a_head_cannot_be_changed_by_a_handler(app, serve):
    @app.get("/")
    def handler(request):
        with pytest.raises(AttributeError):
            request.head.fields.append((b"x-user", b"alice"))
        with pytest.raises(AttributeError):
            request.head.fields = ((b"x-user", b"alice"),)
        return json(len(request.head.fields))

    address = await serve(app)
    for _ in range(4):
        async with Wire(address) as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
            assert (await wire.answer()).body == b"2"
