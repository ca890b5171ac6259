"""The request of now: the proxy, the wrapper that keeps it, and handlers that find it."""

import asyncio
import threading
from contextlib import suppress

import pytest

from sanicish import Request, request, stream_with_context, text
from sanicish.context import CurrentRequest, current_request
from sanicish.exceptions import ServerError


def get(app, path, **options):
    return app.test_client.get(path, gather_request=False, **options)


class Dummy:
    """Something to be the request of now."""

    def __init__(self, name):
        self.name = name


@pytest.fixture
def now():
    """Make something the request of now."""
    tokens = []

    def make(request):
        tokens.append(current_request.set(request))
        return request

    yield make
    for token in reversed(tokens):
        with suppress(ValueError):  # it was set in the task of an async test, whose context is gone
            current_request.reset(token)


# The proxy


def test_proxy_is_the_request_in_a_handler(app):
    @app.get("/a")
    async def handler(given):
        assert request == given and Request.get_current() is given and bool(request)
        assert repr(request) == repr(given)
        request.ctx.seen = True
        request["user"] = "me"
        return text(f"{request.path} {given.ctx.seen} {request['user']} {'user' in request}")

    assert get(app, "/a").text == "/a True me True"


def test_proxy_sets_and_deletes_what_the_request_holds(app):
    @app.get("/a")
    async def handler(given):
        request.path = "/changed"
        request["a"] = 1
        del request["a"]
        return text(f"{given.path} {'a' in given}")

    assert get(app, "/a").text == "/changed False"


def test_proxy_is_the_request_in_middleware_and_exception_handlers(app):
    seen = []
    app.on_request(lambda given: seen.append(request.path))
    app.on_response(lambda given, response: seen.append(request.path))
    app.exception(ZeroDivisionError)(lambda given, error: text(request.path))
    app.get("/a")(lambda given: 1 / 0)
    assert get(app, "/a").text == "/a"
    assert seen == ["/a", "/a"]


@pytest.mark.parametrize("use", [lambda: request.path, lambda: request["a"], lambda: "a" in request])
def test_proxy_outside_of_a_request_says_so(use):
    with pytest.raises(RuntimeError, match="there is no request here"):
        use()


def test_proxy_outside_of_a_request_is_nothing():
    assert not request
    assert repr(request) == "<no request>"
    assert not hasattr(request, "__wrapped__")
    with pytest.raises(ServerError, match="No request"):
        Request.get_current()


def test_proxy_lets_names_of_its_module_through(now):
    assert request.Request is Request
    now(Dummy("a"))
    assert request.Request is Request


def test_items_of_the_parameters_are_first_values(app):
    @app.post("/a")
    async def handler(given):
        assert given.args["a"] == ["1", "2"]
        assert request.args["a"] == "1"
        assert request.args.getlist("a") == ["1", "2"]
        assert request.args.get("b", "none") == "none"
        assert dict(request.args) == {"a": "1"} and len(request.args) == 1
        assert "a" in request.args and "b" not in request.args
        return text(request.form["c"])

    _, answer = app.test_client.post("/a?a=1&a=2", data={"c": "3"})
    assert (answer.status, answer.text) == (200, "3")


def test_parameter_may_be_asked_for_as_a_type(app):
    @app.get("/a")
    def handler():
        args = request.args
        assert args.get("n", type=int) == 5
        assert args.get("x", 7, type=int) == args.get("missing", 7, type=int) == 7
        assert args.getlist("missing") == []
        return "right"

    assert get(app, "/a?n=5&x=y").text == "right"


def test_missing_parameter_is_a_400_that_names_it(app):
    app.get("/a")(lambda: request.args["name"])
    answer = get(app, "/a")
    assert answer.status == 400
    assert "the request lacks the parameter 'name'" in answer.text


def test_missing_parameter_is_a_key_error_too(app):
    @app.get("/a")
    def handler():
        with pytest.raises(KeyError):
            request.args["name"]
        return "none"

    assert get(app, "/a").text == "none"


# In generators


def test_request_is_known_in_generators_of_any_kind(app):
    @app.get("/sync")
    def sync():
        return (request.path for _ in range(2))

    @app.get("/inline", inline=True)
    def inline():
        return (request.path for _ in range(2))

    @app.get("/later")
    async def later():
        for _ in range(2):
            yield request.path
            await asyncio.sleep(0)

    assert [get(app, path).text for path in ("/sync", "/inline", "/later")] == [
        "/sync" * 2,
        "/inline" * 2,
        "/later" * 2,
    ]


# stream_with_context


def test_wrapped_generator_keeps_its_request(now):
    now(Dummy("first"))
    pinned = stream_with_context(request.name for _ in range(2))
    now(Dummy("second"))
    assert list(pinned) == ["first", "first"]
    assert request.name == "second"


async def test_wrapped_async_generator_keeps_its_request(now):
    async def names():
        yield request.name
        await asyncio.sleep(0)
        yield request.name

    now(Dummy("first"))
    pinned = stream_with_context(names())
    now(Dummy("second"))
    assert [name async for name in pinned] == ["first", "first"]
    assert request.name == "second"


def test_decorated_function_passes_arguments_on(now):
    @stream_with_context
    def names(count, *, end):
        """Names."""
        yield from [request.name] * count
        yield end

    now(Dummy("first"))
    assert list(names(2, end="!")) == ["first", "first", "!"]
    assert (names.__name__, names.__doc__) == ("names", "Names.")


async def test_decorated_async_function_passes_arguments_on(now):
    @stream_with_context
    async def names(count, *, end):
        for _ in range(count):
            yield request.name
        yield end

    now(Dummy("first"))
    assert [name async for name in names(2, end="!")] == ["first", "first", "!"]


def test_wrapper_takes_any_iterable_and_may_run_in_another_thread(now):
    now(Dummy("first"))
    pinned = stream_with_context(map("{0.name}{1}".format, [request] * 2, [1, 2]))
    got = []
    thread = threading.Thread(target=lambda: got.extend(pinned))
    thread.start()
    thread.join()
    assert got == ["first1", "first2"]


def test_wrapper_closes_what_it_wraps_with_its_request(now):
    closed = []

    def names():
        try:
            yield 1
        finally:
            closed.append(request.name)

    now(Dummy("first"))
    pinned = stream_with_context(names())
    assert next(pinned) == 1
    now(Dummy("second"))
    pinned.close()
    assert closed == ["first"]


async def test_async_wrapper_closes_what_it_wraps_with_its_request(now):
    closed = []

    async def names():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append(request.name)

    now(Dummy("first"))
    pinned = stream_with_context(names())
    assert await anext(pinned) == 1
    now(Dummy("second"))
    await pinned.aclose()
    assert closed == ["first"]


async def test_wrapper_closes_what_has_no_close(now):
    class Later:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise StopAsyncIteration

    now(Dummy("first"))
    stream_with_context(map(str, [1])).close()
    await stream_with_context(Later()).aclose()


def test_wrapper_refuses_what_is_no_generator(now):
    now(Dummy("first"))
    with pytest.raises(TypeError, match="takes a generator or a function"):
        stream_with_context(5)


def test_wrapper_needs_a_request():
    with pytest.raises(RuntimeError, match="no request"):
        stream_with_context(iter([]))


# Handlers that find their request


def test_handler_whose_signature_cannot_be_read_takes_the_request(app):
    app.get("/a")(
        type("Odd", (), {"__signature__": 5, "__call__": lambda self, given: text(given.path), "__name__": "odd"})()
    )
    assert get(app, "/a").text == "/a"


def test_proxies_are_of_one_request():
    assert CurrentRequest(threading) != request or not request
