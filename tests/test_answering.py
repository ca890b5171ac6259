"""How one exchange is answered: handlers, exception handlers, what happens when something fails."""

import asyncio

import pytest

from sanicish.app import Sanic
from sanicish.exceptions import InvalidUsage, NotFound, RequestAborted, SanicException, ServerError
from sanicish.handlers import ErrorHandler
from sanicish.request import Request
from sanicish.response import HTTPResponse, StreamingHTTPResponse, stream, text
from sanicish.server import protocol
from tests.doubles.wire import Wire, talk


def get(app, path, **options):
    return app.test_client.get(path, gather_request=False, **options)


def get_line(path, *fields):
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode()


class Sour(Exception):
    """An error of the application."""


class Bitter(Sour):
    """One of its kind."""


# Handlers


def test_handler_may_be_async_or_not(app):
    @app.get("/sync")
    def sync(request):
        return text("sync")

    @app.get("/async")
    async def later(request):
        return text("async")

    assert get(app, "/sync").text == "sync"
    assert get(app, "/async").text == "async"


def test_handler_gets_the_parameters_of_its_path_by_name(app):
    @app.get("/<a>/<b:int>")
    async def handler(request, b, a):
        return text(f"{a} {b + 1}")

    assert get(app, "/x/1").text == "x 2"


def test_value_stays_encoded_unless_the_route_decodes_it(app):
    app.get("/raw/<x>")(lambda request, x: text(x))
    app.get("/plain/<x>", unquote=True)(lambda request, x: text(x))
    assert get(app, "/raw/a%20b").text == "a%20b"
    assert get(app, "/plain/a%20b%2Fc").text == "a b/c"


def test_handler_may_be_an_object_that_can_be_called(app):
    class Handler:
        async def __call__(self, request):
            return text("called")

    app.add_route(Handler(), "/a")
    assert get(app, "/a").text == "called"


@pytest.mark.parametrize("value", [None, 5, object(), range(3).__len__])
def test_what_is_no_response_is_a_500_that_the_log_explains(app, caplog, value):
    async def wrong(request):
        return value

    app.get("/a")(wrong)
    assert get(app, "/a").status == 500
    assert f"Invalid response type {type(value).__name__} from test.wrong" in caplog.text


async def test_options_of_the_whole_server_is_answered_without_a_route(app, serve):
    """RFC 9110 9.3.7."""
    answer = await talk(await serve(app), b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


def test_request_class_of_the_application_is_used():
    class Own(Request):
        @property
        def shout(self):
            return self.path.upper()

    app = Sanic("own", request_class=Own, configure_logging=False, register=False)
    app.get("/a")(lambda request: text(request.shout))
    assert get(app, "/a").text == "/A"


# Methods


def test_two_registrations_of_one_path_stream_each_its_own_way(app):
    @app.get("/a")
    async def plain(request):
        return text(f"plain {request.stream}")

    @app.post("/a", stream=True)
    async def streaming(request):
        return text(f"streaming {await request.stream.read()!r}")

    @app.put("/a")
    async def buffered(request):
        return text(f"buffered {request.body!r} {request.stream}")

    client = app.test_client
    assert client.get("/a")[1].text == "plain None"
    assert client.post("/a", data=b"x")[1].text == "streaming b'x'"
    assert client.put("/a", data=b"x")[1].text == "buffered b'x' None"


def test_method_without_a_route_is_405_with_those_that_have_one(app):
    app.get("/a")(lambda request: text(""))
    app.post("/a", stream=True)(lambda request: text(""))
    response = app.test_client.delete("/a")[1]
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD, POST"


def test_path_without_a_route_is_404(app):
    response = get(app, "/nothing", headers={"Accept": "text/plain"})
    assert response.status == 404
    assert response.text == "404 Not Found\nRequested URL /nothing not found\n"


async def test_head_is_answered_by_the_route_of_get(app, serve):
    app.get("/a")(lambda request: text("hello", headers={"X-A": "1"}))
    answer = await talk(await serve(app), b"HEAD /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 5" in head and b"X-A: 1" in head
    assert body == b""


def test_route_of_head_comes_before_that_of_get(app):
    app.get("/a")(lambda request: text("get"))
    app.head("/a")(lambda request: text("", headers={"X-Head": "own"}))
    assert app.test_client.head("/a")[1].headers["X-Head"] == "own"


def test_head_sees_its_own_method(app):
    app.get("/a")(lambda request: text("", headers={"X-Method": request.method}))
    assert app.test_client.head("/a")[1].headers["X-Method"] == "HEAD"


# Hosts


def test_routes_of_hosts_are_told_apart(app):
    app.get("/a", host="one.test")(lambda request: text("one"))
    app.get("/a", host=["two.test", "three.test"])(lambda request: text("two"))
    app.get("/a")(lambda request: text("any"))
    answers = {host: get(app, "/a", headers={"Host": host}).text for host in ("one.test", "THREE.test:80", "x.test")}
    assert answers == {"one.test": "one", "THREE.test:80": "two", "x.test": "any"}


def test_server_name_of_the_settings_does_not_choose_the_host(app):
    app.config.SERVER_NAME = "https://one.test"
    app.get("/a", host="one.test")(lambda request: text("one"))
    app.get("/a", host="two.test")(lambda request: text("two"))
    assert get(app, "/a", headers={"Host": "two.test"}).text == "two"


def test_host_that_a_trusted_proxy_names_is_the_host(app):
    app.config.FORWARDED_SECRET = "secret"
    app.get("/a", host="one.test")(lambda request: text("one"))
    fields = {"Host": "backend:8000", "Forwarded": 'host="one.test"; secret=secret'}
    assert get(app, "/a", headers=fields).text == "one"


# Bodies


def test_body_that_a_route_ignores_is_not_read(app):
    app.config.REQUEST_MAX_SIZE = 3
    app.post("/a", ignore_body=True)(lambda request: text(f"{request.body!r}"))
    assert app.test_client.post("/a", data=b"too large")[1].text == "b''"


def test_route_may_take_a_smaller_body_than_the_settings(app):
    app.post("/a", max_body_size=3)(lambda request: text("taken"))
    assert app.test_client.post("/a", data=b"123")[1].status == 200
    assert app.test_client.post("/a", data=b"1234")[1].status == 413


def test_route_may_take_a_larger_body_than_the_settings(app):
    app.config.REQUEST_MAX_SIZE = 3
    app.post("/a", max_body_size=10)(lambda request: text("taken"))
    assert app.test_client.post("/a", data=b"1234567890")[1].status == 200


async def test_announced_length_above_the_limit_of_a_streaming_route_is_refused_before_a_byte_is_asked_for(app, serve):
    app.post("/a", stream=True, max_body_size=3)(lambda request: text("taken"))
    answer = await talk(
        await serve(app), b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_streaming_route_has_no_limit_unless_asked(app):
    app.config.REQUEST_MAX_SIZE = 3

    @app.post("/a", stream=True)
    async def a(request):
        return text(str(len(await request.stream.read())))

    assert app.test_client.post("/a", data=b"1234567890")[1].text == "10"


# Timeouts


def test_answer_that_does_not_begin_in_time_is_503(app):
    app.config.RESPONSE_TIMEOUT = 0.02

    @app.get("/a")
    async def slow(request):
        await asyncio.Event().wait()

    response = get(app, "/a")
    assert response.status == 503


def test_route_has_its_own_clock(app):
    app.config.KEEP_ALIVE_TIMEOUT = 0.2  # the timeouts are looked at ten times as often as the shortest one needs

    @app.get("/a", timeout=0.01)
    async def slow(request):
        await asyncio.Event().wait()

    assert get(app, "/a").status == 503


async def test_route_may_switch_a_clock_off(app, serve):
    app.config.RESPONSE_TIMEOUT = 0.02
    gate = asyncio.Event()

    @app.get("/patient", timeout=None)
    async def patient(request):
        await gate.wait()
        return text("at last")

    @app.get("/impatient")
    async def impatient(request):
        await gate.wait()

    address = await serve(app)
    async with Wire(address) as waiting, Wire(address) as other:
        waiting.send(get_line("/patient"))
        other.send(get_line("/impatient"))
        assert (await other.answer()).status == 503
        gate.set()
        assert (await waiting.answer()).body == b"at last"


def test_exception_handler_may_answer_for_a_timeout(app):
    app.config.RESPONSE_TIMEOUT = 0.02

    @app.get("/a")
    async def slow(request):
        await asyncio.Event().wait()

    app.exception(SanicException)(lambda request, error: text(f"{error.status_code} {error}"))
    assert get(app, "/a").text == "503 Response Timeout"


# Cancelling


@pytest.mark.parametrize("shield", ["route", "settings"])
async def test_shielded_handler_runs_to_its_end_without_a_client(app, serve, shield):
    begun, gate, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    app.config.CANCEL_ON_DISCONNECT = shield == "route"

    @app.get("/a", shield=shield == "route")
    async def work(request):
        begun.set()
        await gate.wait()
        done.set()
        return text("")

    address = await serve(app)
    async with Wire(address) as wire:
        wire.send(get_line("/a"))
        await begun.wait()
    async with Wire(address) as wire:  # by the time this one is answered, the other's leaving has been seen
        wire.send(get_line("/nothing"))
        await wire.answer()
    gate.set()
    await asyncio.wait_for(done.wait(), 5)


@pytest.mark.parametrize("streaming_route", [False, True])
async def test_streams_are_cancelled_even_when_the_settings_shield_handlers(app, serve, streaming_route):
    app.config.CANCEL_ON_DISCONNECT = False
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def idle(response):
        try:
            await response.write("begun")
            begun.set()
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    app.get("/a", stream=streaming_route)(lambda request: stream(idle))
    async with Wire(await serve(app)) as wire:
        wire.send(get_line("/a"))
        await begun.wait()
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_client_that_ends_its_side_is_waited_for_where_the_route_says_so(app, serve, monkeypatch):
    monkeypatch.setattr(protocol, "_HALF_CLOSE_GRACE", 0.01)
    gate, cancelled = asyncio.Event(), asyncio.Event()

    @app.get("/patient", half_close=True)
    async def patient(request):
        await gate.wait()
        return text("at last")

    @app.get("/usual")
    async def usual(request):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    address = await serve(app)
    async with Wire(address) as waiting, Wire(address) as leaving:
        waiting.send(get_line("/patient"))
        waiting.half_close()
        leaving.send(get_line("/usual"))
        leaving.half_close()
        await asyncio.wait_for(cancelled.wait(), 5)
        gate.set()
        assert (await waiting.answer()).body == b"at last"


def test_something_cancelled_that_a_handler_waits_for_is_a_500(app, caplog):
    @app.get("/a")
    async def wait(request):
        task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
        task.cancel()
        await task

    assert get(app, "/a").status == 500
    assert "something the handler waited for was cancelled" in caplog.text


def test_head_ends_a_streaming_handler_at_its_first_write(app, caplog):
    after = []

    @app.get("/a")
    async def a(request):
        response = await request.respond()
        await response.send("body")
        after.append("went on")

    response = app.test_client.head("/a")[1]
    assert (response.status, response.body, after) == (200, b"", [])
    assert not caplog.records


async def test_upload_that_the_client_cuts_ends_in_silence(app, serve, caplog):
    errors = []
    ended = asyncio.Event()

    @app.post("/a", stream=True)
    async def upload(request):
        try:
            while await request.stream.read() is not None:
                pass
        except RequestAborted as error:
            errors.append(error)
            raise
        finally:
            ended.set()

    answer = await talk(
        await serve(app), b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", half_close=True
    )
    await asyncio.wait_for(ended.wait(), 5)
    assert len(errors) == 1
    assert answer == b""
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.fixture
def left(app, serve):
    """Ask for ``/a``, and leave when the handler has begun, by an end or by a reset."""

    async def leave(begun, reset=False):
        address = await serve(app)
        async with Wire(address) as wire:
            wire.send(get_line("/a"))
            await asyncio.wait_for(begun.wait(), 5)
            if reset:
                wire.reset()
        async with Wire(address) as wire:
            wire.send(get_line("/nothing"))
            await wire.answer()

    return leave


async def test_error_page_for_a_client_that_left_ends_in_silence(app, left, caplog):
    begun, gate, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @app.get("/a", shield=True)
    async def fail(request):
        begun.set()
        await gate.wait()
        raise Sour

    async def page(response):
        try:
            await response.write("sorry")
            pytest.fail("a write to nobody was awaited")
        finally:
            ended.set()

    app.exception(Sour)(lambda request, error: stream(page))
    await left(begun, reset=True)
    gate.set()
    await asyncio.wait_for(ended.wait(), 5)
    await asyncio.sleep(0)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_exception_handler_is_cancelled_when_the_client_leaves(app, left):
    begun, cancelled = asyncio.Event(), asyncio.Event()

    @app.get("/a")
    async def fail(request):
        raise Sour

    @app.exception(Sour)
    async def slow(request, error):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await left(begun)
    await asyncio.wait_for(cancelled.wait(), 5)


# Exception handlers


@pytest.fixture
def failing(app):
    """An application whose routes raise what they are named after."""
    for error in (Sour, Bitter, ValueError, NotFound, InvalidUsage, ServerError):

        def fail(request, error=error):
            raise error("why")

        app.get(f"/{error.__name__}", name=error.__name__)(fail)
    return app


def answer_with(word):
    return lambda request, error: text(f"{word} {type(error).__name__} {error}")


def test_exception_handler_answers_for_its_class(failing):
    failing.exception(Sour)(answer_with("sour"))
    assert get(failing, "/Sour").text == "sour Sour why"


def test_exception_handler_may_be_async(failing):
    @failing.exception(Sour)
    async def handler(request, error):
        await asyncio.sleep(0)
        return text("later", 418)

    assert get(failing, "/Sour").status == 418


def test_exception_handler_answers_for_subclasses(failing):
    failing.exception(Sour)(answer_with("sour"))
    assert get(failing, "/Bitter").text == "sour Bitter why"


def test_nearest_class_wins_whatever_the_order(failing):
    failing.exception(Bitter)(answer_with("bitter"))
    failing.exception(Sour)(answer_with("sour"))
    failing.exception(Exception)(answer_with("any"))
    assert get(failing, "/Bitter").text == "bitter Bitter why"
    assert get(failing, "/Sour").text == "sour Sour why"
    assert get(failing, "/ValueError").text == "any ValueError why"


def test_exception_handler_may_answer_for_several_classes(failing):
    failing.exception(Sour, [ValueError])(answer_with("both"))
    assert get(failing, "/Sour").text == "both Sour why"
    assert get(failing, "/ValueError").text == "both ValueError why"


def test_exception_handler_may_answer_for_404_405_and_500(failing):
    failing.exception(SanicException)(lambda request, error: text(f"page {error.status_code}", error.status_code))
    client = failing.test_client
    assert get(failing, "/nothing").text == "page 404"
    assert client.post("/Sour")[1].text == "page 405"
    assert get(failing, "/ServerError").text == "page 500"


def test_headers_of_an_exception_are_on_its_page(failing):
    response = failing.test_client.post("/Sour")[1]
    assert response.headers["Allow"] == "GET, HEAD"


def test_exception_handler_that_gives_nothing_leaves_the_page_to_us(failing):
    seen = []
    failing.exception(NotFound)(lambda request, error: seen.append(str(error)))
    assert get(failing, "/NotFound").status == 404
    assert seen == ["why"]


def test_exception_handler_that_fails_is_logged_and_answered(failing, caplog):
    @failing.exception(Sour)
    def broken(request, error):
        raise RuntimeError("the handler broke")

    assert get(failing, "/Sour").status == 500
    assert "the handler broke" in caplog.text


def test_exception_handler_may_stream(failing):
    failing.exception(Sour)(lambda request, error: stream(lambda response: response.write("streamed"), status=418))
    response = get(failing, "/Sour")
    assert (response.status, response.text) == (418, "streamed")


def test_exception_handler_may_respond(failing):
    @failing.exception(Sour)
    async def handler(request, error):
        response = await request.respond(status=418)
        await response.send("responded", end_stream=True)
        return response

    response = get(failing, "/Sour")
    assert (response.status, response.text) == (418, "responded")


def test_error_handler_of_your_own_makes_the_pages(app):
    class Own(ErrorHandler):
        def default(self, request, exception):
            return text(f"own {exception}", 418)

    app.error_handler = Own()
    assert get(app, "/nothing").text == "own Requested URL /nothing not found"


# Failing before, while and after the response leaves


def test_error_in_a_stream_before_its_first_write_is_an_error_page(app):
    @app.get("/a")
    async def a(request):
        async def fail(response):
            raise InvalidUsage("too early")

        return stream(fail, headers={"X-Stream": "yes"})

    response = get(app, "/a")
    assert response.status == 400
    assert "too early" in response.text
    assert "X-Stream" not in response.headers


def test_error_after_respond_and_before_its_first_write_is_an_error_page(app):
    @app.get("/a")
    async def a(request):
        await request.respond(status=201)
        raise InvalidUsage("too early")

    assert get(app, "/a").status == 400


def test_exception_handler_may_respond_after_a_handler_that_had(app):
    @app.get("/a")
    async def a(request):
        await request.respond(status=201)
        raise Sour

    @app.exception(Sour)
    async def handler(request, error):
        response = await request.respond(status=418)
        await response.send("again", end_stream=True)

    assert get(app, "/a").text == "again"


async def test_error_after_the_head_cuts_the_answer_without_an_end(app, serve, caplog):
    @app.get("/a")
    async def a(request):
        async def fail(response):
            await response.write("begun")
            raise ValueError("half way")

        return stream(fail)

    app.exception(Exception)(lambda request, error: pytest.fail("there is nothing left to answer"))
    answer = await talk(await serve(app), get_line("/a"))
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.endswith(b"5\r\nbegun\r\n")
    assert "GET /a failed after its response had begun; it was cut" in caplog.text


async def test_error_after_the_end_leaves_the_answer_whole(app, serve, caplog):
    @app.get("/a")
    async def a(request):
        response = await request.respond()
        await response.send("whole", end_stream=True)
        raise ValueError("too late")

    async with Wire(await serve(app)) as wire:
        wire.send(get_line("/a"))
        assert (await wire.answer()).body == b"whole"
    assert "failed after its response" in caplog.text and "too late" in caplog.text


def test_response_that_cannot_be_sent_is_an_error_page(app, caplog):
    @app.get("/a")
    async def a(request):
        response = HTTPResponse("text")
        response.body = object()
        return response

    assert get(app, "/a").status == 500
    assert "a body is made of" in caplog.text


# respond()


def test_answer_begun_by_respond_is_ended_for_the_handler(app):
    @app.get("/a")
    async def a(request):
        response = await request.respond(content_type="text/csv")
        await response.send("a,b")

    response = get(app, "/a")
    assert (response.text, response.content_type, response.complete) == ("a,b", "text/csv", True)


def test_response_given_to_respond_may_be_returned(app, caplog):
    @app.get("/a")
    async def a(request):
        return await request.respond(text("whole"))

    assert get(app, "/a").text == "whole"
    assert not caplog.records


def test_response_returned_beside_respond_is_told_to_the_log(app, caplog):
    @app.get("/a")
    async def a(request):
        response = await request.respond()
        await response.send("first")
        return text("second")

    assert get(app, "/a").text == "first"
    assert "returned a response although it had answered by respond()" in caplog.text


def test_second_respond_is_refused(app):
    @app.get("/a")
    async def a(request):
        await request.respond()
        await request.respond()

    assert get(app, "/a").status == 500


def test_streaming_response_given_to_respond_runs_its_function(app):
    @app.get("/a")
    async def a(request):
        await request.respond(StreamingHTTPResponse(lambda response: response.write("streamed")))

    assert get(app, "/a").text == "streamed"
