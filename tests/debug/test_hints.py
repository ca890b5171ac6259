"""Notes on exceptions that have one usual cause."""

import pytest

from sanicish.debug.hints import explain
from sanicish.streams.incoming import RequestStream
from tests.doubles.wire import talk


class Plain:
    """A request whose route does not stream."""

    stream = None


async def numbers():
    yield 1


async def answer():
    return []


async def iterates(request):
    async for _ in request.stream:
        pass


async def reads(request):
    await request.stream.read()


async def iterates_plainly(request):
    for _ in RequestStream():
        pass


async def iterates_a_generator_plainly(request):
    for _ in numbers():
        pass


async def awaits_a_generator(request):
    await numbers()


async def forgets_to_await(request):
    coroutine = answer()
    try:
        len(coroutine)
    finally:
        coroutine.close()


@pytest.mark.parametrize(
    ("handler", "hint"),
    [
        (iterates, "stream=True"),
        (reads, "stream=True"),
        (iterates_plainly, "`async for`"),
        (iterates_a_generator_plainly, "`async for`"),
        (awaits_a_generator, "without `await`"),
        (forgets_to_await, "an `await` is missing"),
    ],
)
async def test_what_has_one_usual_cause_is_explained(handler, hint):
    with pytest.raises((TypeError, AttributeError)) as caught:
        await handler(Plain)
    explain(caught.value)
    explain(caught.value)
    (note,) = caught.value.__notes__
    assert hint in note


async def other(request):
    request.nothing.read()


async def fails(request):
    raise ValueError("'coroutine'")


@pytest.mark.parametrize("handler", [other, fails])
async def test_everything_else_is_left_alone(handler):
    with pytest.raises((AttributeError, ValueError)) as caught:
        await handler(Plain)
    explain(caught.value)
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("debug", [True, False])
async def test_the_log_explains_a_route_that_does_not_stream(app, serve, caplog, debug):
    app.post("/")(iterates)
    answer = await talk(await serve(app, debug=debug), b"POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")
    assert "request.stream is None here" in caplog.text
    assert (b"request.stream is None here" in answer) is debug


async def test_the_page_explains_it_at_its_top(app, serve):
    app.post("/")(iterates)
    head = b"POST / HTTP/1.0\r\nAccept: text/html\r\nContent-Length: 1\r\n\r\nx"
    answer = (await talk(await serve(app, debug=True), head)).decode()
    assert "request.stream is None here" in answer.partition("</header>")[0]
