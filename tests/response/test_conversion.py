"""What a handler returned becomes a response: the ways of Flask and Quart."""

import functools

import pytest

from sanicish import HTTPResponse, Response, Sanic, StreamingHTTPResponse, html, json, make_response, text
from sanicish.headers import Headers
from sanicish.response.conversion import InvalidReturn, as_response


def get(app, path, **options):
    return app.test_client.get(path, gather_request=False, **options)


def numbers():
    yield "1,"
    yield b"2,"
    yield 3


async def numbers_later():
    yield "1,"
    yield b"2,"
    yield 3


class Numbers:
    """An iterable that is no generator."""

    def __iter__(self):
        return numbers()


BODIES = [
    ("1,2,3", b"1,2,3"),
    (b"1,2,3", b"1,2,3"),
    (bytearray(b"1,2,3"), b"1,2,3"),
    (numbers, b"1,2,3"),
    (numbers_later, b"1,2,3"),
    (Numbers, b"1,2,3"),
    (lambda: iter(["1,", "2,", "3"]), b"1,2,3"),
    (lambda: {"1,2,3": None}.keys(), b"1,2,3"),
    ({"a": [1, None]}, b'{"a":[1,null]}'),
    ([1, {"a": 2}], b'[1,{"a":2}]'),
]


def made(body):
    return body() if callable(body) else body


@pytest.mark.parametrize(("body", "sent"), BODIES)
def test_plain_handler_may_return_a_body(app, body, sent):
    @app.get("/a")
    def handler(request):
        return made(body)

    answer = get(app, "/a")
    assert (answer.status, answer.body) == (200, sent)


@pytest.mark.parametrize(("body", "sent"), BODIES)
def test_async_handler_may_return_a_body_with_status_and_headers(app, body, sent):
    @app.get("/a")
    async def handler(request):
        return made(body), 202, {"X-Something": "value"}

    answer = get(app, "/a")
    assert (answer.status, answer.headers["X-Something"], answer.body) == (202, "value", sent)


def test_handler_may_be_a_generator_itself(app):
    @app.get("/sync")
    def sync(request):
        yield "a"
        yield request.path

    @app.get("/later")
    async def later(request):
        yield "b"
        yield request.path

    assert get(app, "/sync").text == "a/sync"
    assert get(app, "/later").text == "b/later"


def test_generator_is_plain_text_in_chunks(app):
    app.get("/a")(lambda request: numbers())
    answer = get(app, "/a")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Transfer-Encoding"] == "chunked"


def test_dict_and_list_are_json(app):
    app.get("/a")(lambda request: {"a": 1})
    assert get(app, "/a").headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("returned", "status", "fields"),
    [
        (("x", 404), 404, {}),
        (("x", "404 NOT FOUND"), 404, {}),
        (("x", {"A": "1"}), 200, {"A": "1"}),
        (("x", [("A", "1"), ("B", "2")]), 200, {"A": "1", "B": "2"}),
        (("x", Headers({"A": "1"})), 200, {"A": "1"}),
        (("x", 201, None), 201, {}),
        (("x", None, {"A": "1"}), 200, {"A": "1"}),
        ((text("x", 202), {"A": "1"}), 202, {"A": "1"}),
        ((html("x", headers={"A": "0"}), 203, {"A": "1"}), 203, {"A": "1"}),
    ],
)
def test_tuple_is_body_status_and_headers(returned, status, fields):
    response = as_response(returned)
    assert response.status == status
    assert dict(response.headers) == fields
    assert response.body == b"x"


def test_header_of_a_tuple_may_have_several_values():
    assert as_response(("x", [("A", "1"), ("A", "2")])).headers.getall("A") == ["1", "2"]


@pytest.mark.parametrize(
    ("returned", "what"),
    [
        (None, "NoneType"),
        (5, "int"),
        (object(), "object"),
        (print, "builtin_function_or_method"),
        (("x",), "tuple of 1"),
        (("x", 1, {}, 4), "tuple of 4"),
        ((None, 404), "NoneType"),
        (("x", "fine"), "tuple with the status 'fine'"),
        ((("x", 1), 2), "tuple"),
    ],
)
def test_what_no_handler_may_return_is_named(returned, what):
    with pytest.raises(InvalidReturn) as raised:
        as_response(returned)
    assert raised.value.what == what


def test_wrong_type_is_a_500_whose_log_line_says_what_is_allowed(app, caplog):
    @app.get("/a")
    async def handler(request):
        return 5

    assert get(app, "/a").status == 500
    assert "Invalid response type int from test.handler" in caplog.text
    assert "allowed: a response, str, bytes, dict, list, a generator" in caplog.text


def test_error_of_json_is_not_taken_for_a_wrong_type(app, caplog):
    app.get("/a")(lambda request: {"a": object()})
    assert get(app, "/a").status == 500
    assert "Invalid response type" not in caplog.text


def test_exception_handler_and_middleware_may_return_bodies_too(app):
    @app.exception(ZeroDivisionError)
    def explain(request, error):
        return {"error": str(error)}, 400

    @app.get("/a")
    def handler(request):
        return 1 / 0

    @app.on_request
    def guard(request):
        return ("no", 403) if request.path == "/b" else None

    assert (get(app, "/a").status, get(app, "/a").json) == (400, {"error": "division by zero"})
    assert (get(app, "/b").status, get(app, "/b").text) == (403, "no")


def test_response_middleware_sees_the_response_and_not_the_body_it_was_made_of(app):
    app.get("/a")(lambda request: ("x", 201))

    @app.on_response
    def mark(request, response):
        response.headers["X-Status"] = str(response.status)

    assert get(app, "/a").headers["X-Status"] == "201"


# Response and make_response


def test_response_of_text_is_whole_and_of_an_iterable_a_stream():
    assert isinstance(Response("x"), HTTPResponse)
    assert isinstance(Response(numbers()), StreamingHTTPResponse)
    assert isinstance(Response(["a", "b"]), StreamingHTTPResponse)


@pytest.mark.parametrize(
    ("options", "content_type"),
    [
        ({}, "text/plain; charset=utf-8"),
        ({"mimetype": "text/csv"}, "text/csv; charset=utf-8"),
        ({"mimetype": "image/png"}, "image/png"),
        ({"content_type": "text/csv"}, "text/csv"),
        ({"mimetype": "text/html", "content_type": "text/csv"}, "text/csv"),
    ],
)
def test_mimetype_gets_a_charset_and_content_type_is_taken_as_it_is(options, content_type):
    assert Response("x", **options).content_type == content_type
    assert Response(numbers(), **options).content_type == content_type


def test_body_may_say_its_own_content_type():
    class Page(Numbers):
        content_type = "text/html; charset=utf-8"

    assert Response(Page()).content_type == "text/html; charset=utf-8"


def test_response_takes_status_and_headers():
    response = Response(numbers(), 201, {"A": "1"})
    assert (response.status, response.headers["A"]) == (201, "1")
    assert Response(status="404 NOT FOUND").status == 404


def test_response_of_no_body_is_refused():
    with pytest.raises(TypeError, match="int"):
        Response(5)
    with pytest.raises(TypeError, match="dict"):
        Response({"a": 1})


async def test_make_response_may_be_awaited_or_not():
    response = make_response("x", 201)
    assert response.status == 201
    assert await response is response
    assert (response.status, response.body) == (201, b"x")


def test_make_response_takes_what_a_handler_returns():
    response = text("x")
    assert make_response(response) is response
    assert make_response(numbers(), 201, {"A": "1"}).headers["A"] == "1"
    assert make_response(("x", 404)).status == 404
    assert make_response({"a": 1}).content_type == "application/json"
    assert make_response().body == b""
    with pytest.raises(TypeError, match="allowed"):
        make_response(5)


# Handlers without a request


def test_handler_may_take_no_request(app):
    app.get("/a")(lambda: "none")

    @app.get("/b/<name>/<n:int>")
    def handler(name, n=0):
        return f"{name} {n + 1}"

    @app.get("/c/<name>")
    async def later(**values):
        return values["name"]

    assert get(app, "/a").text == "none"
    assert get(app, "/b/x/1").text == "x 2"
    assert get(app, "/c/y").text == "y"


def test_handler_that_takes_anything_takes_the_request(app):
    app.get("/a/<name>")(lambda *given, **values: f"{given[0].path} {values['name']}")
    app.get("/b/<name>")(lambda request, name: f"{request.path} {name}")
    assert get(app, "/a/x").text == "/a/x x"
    assert get(app, "/b/x").text == "/b/x x"


def decorated_by_anything(handler):
    @functools.wraps(handler)
    def wrapper(*args, **kwargs):
        return handler(*args, **kwargs)

    return wrapper


def decorated_with_request(handler):
    @functools.wraps(handler)
    def wrapper(request, *args, **kwargs):
        return handler(*args, **kwargs)

    return wrapper


def test_decorator_that_passes_everything_on_takes_what_its_handler_takes(app):
    app.get("/a/<name>")(decorated_by_anything(lambda name: name))
    app.get("/b/<name>")(decorated_by_anything(lambda request, name: request.path))
    app.get("/c")(decorated_by_anything(lambda: "none"))
    assert [get(app, path).text for path in ("/a/x", "/b/x", "/c")] == ["x", "/b/x", "none"]


def test_decorator_that_names_the_request_is_given_it(app):
    app.get("/a/<name>")(decorated_with_request(lambda name: name))
    app.get("/b")(decorated_with_request(lambda: "none"))
    assert [get(app, path).text for path in ("/a/x", "/b")] == ["x", "none"]


# JSON of the application


def test_json_is_made_by_the_dumps_of_the_application():
    app = Sanic("dumps", configure_logging=False, register=False, load_env=False, dumps=lambda value: f"<{value}>")
    app.get("/json")(lambda request: json(1))
    app.get("/dict")(lambda request: {})
    app.get("/own")(lambda request: json(1, dumps=str))
    assert get(app, "/json").text == "<1>"
    assert get(app, "/dict").text == "<{}>"
    assert get(app, "/own").text == "1"
