"""Error pages in html, json and text, who answers for an exception, and what of it the log says."""

import json as json_module
import logging
from types import SimpleNamespace

import pytest

from sanicish import Blueprint
from sanicish.exceptions import (
    ContentRangeError,
    HeaderNotFound,
    InvalidRangeType,
    MethodNotAllowed,
    NotFound,
    SanicException,
    ServerError,
    Unauthorized,
    abort,
)
from sanicish.handlers import ContentRangeHandler, ErrorHandler
from sanicish.headers import Headers
from sanicish.response import stream, text
from tests.doubles.wire import Wire

HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"
HIDDEN = "The server failed to answer this request."


async def ask(address, target="/", method="GET", fields=()):
    async with Wire(address) as wire:
        lines = "".join(
            f"{line}\r\n" for line in (f"{method} {target} HTTP/1.1", "Host: a", "Connection: close", *fields)
        )
        wire.send(lines.encode() + b"\r\n")
        head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return SimpleNamespace(status=int(status.split()[1]), headers=headers, body=body.decode())


def fail(error):
    def handler(request):
        raise error

    return handler


@pytest.fixture
def failing(app):
    app.add_route(fail(SanicException("short and <stout>", status_code=418)), "/teapot")
    app.add_route(fail(ValueError("secret <value>")), "/value")
    app.add_route(fail(ServerError("told <outside>")), "/server")
    return app


async def test_page_is_not_to_be_taken_for_another_type_than_its_own(failing, serve):
    address = await serve(failing)
    for path in ("/<script>", "/teapot", "/value"):
        for form in ("text/html", "application/json", "text/plain"):
            page = await ask(address, path.replace("<", "%3C"), fields=[f"Accept: {form}"])
            assert page.headers["x-content-type-options"] == "nosniff"


async def test_headers_of_an_exception_come_before_those_of_the_page(app, serve):
    app.add_route(fail(SanicException("x", 418, headers={"x-content-type-options": "own", "X-A": "b"})), "/")
    page = await ask(await serve(app))
    assert (page.headers["x-content-type-options"], page.headers["x-a"]) == ("own", "b")


# The form of a page


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, TEXT),
        ("*/*", TEXT),
        ("", TEXT),
        ("image/png", TEXT),
        ("text/html", HTML),
        ("TEXT/HTML", HTML),
        ("text/html;level=1", HTML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("application/json", JSON),
        ("application/problem+json", JSON),
        ("application/vnd.api+json", JSON),
        ("text/plain", TEXT),
        ("application/json, text/html", JSON),
        ("text/html, application/json", HTML),
        ("text/html;q=0.5, application/json;q=0.8, text/plain;q=0.1", JSON),
        ("text/html; q=0, application/json; q=0.1", JSON),
        ("text/html;q=0", TEXT),
        ("text/html;q=1e3, application/json;q=0.1", JSON),
        ("text/html;q=inf, application/json;q=0.1", JSON),
        ("text/html;q=x, application/json;q=0.1", JSON),
        (",;,=;q=", TEXT),
    ],
)
async def test_the_client_chooses_the_form_of_a_page(failing, serve, accept, content_type):
    answer = await ask(await serve(failing), "/teapot", fields=[f"Accept: {accept}"] if accept is not None else [])
    assert (answer.status, answer.headers["content-type"]) == (418, content_type)


async def test_several_accept_fields_are_one_list(failing, serve):
    answer = await ask(await serve(failing), "/teapot", fields=["Accept: text/html;q=0.1", "Accept: application/json"])
    assert answer.headers["content-type"] == JSON


async def test_who_sends_json_is_answered_in_json_unless_it_says_otherwise(failing, serve):
    address = await serve(failing)
    sends = "Content-Type: application/json"
    assert (await ask(address, "/teapot", fields=[sends])).headers["content-type"] == JSON
    assert (await ask(address, "/teapot", fields=[sends, "Accept: text/html"])).headers["content-type"] == HTML


@pytest.mark.parametrize(("setting", "content_type"), [("html", HTML), ("json", JSON), ("text", TEXT), ("auto", JSON)])
async def test_the_setting_chooses_for_everyone(failing, serve, setting, content_type):
    failing.config.FALLBACK_ERROR_FORMAT = setting
    answer = await ask(await serve(failing), "/teapot", fields=["Accept: application/json"])
    assert answer.headers["content-type"] == content_type
    answer = await ask(await serve(failing), "/missing", fields=["Accept: application/json"])
    assert (answer.status, answer.headers["content-type"]) == (404, content_type)


async def test_a_route_chooses_for_itself(app, serve):
    app.config.FALLBACK_ERROR_FORMAT = "text"
    app.add_route(fail(NotFound("x")), "/", error_format="json")
    assert (await ask(await serve(app))).headers["content-type"] == JSON


# What a page says


async def test_a_page_of_text(failing, serve):
    answer = await ask(await serve(failing), "/teapot")
    assert answer.body == "418 I'm a Teapot\nshort and <stout>\n"


async def test_a_page_of_json(failing, serve):
    answer = await ask(await serve(failing), "/teapot", fields=["Accept: application/json"])
    assert json_module.loads(answer.body) == {
        "status": 418,
        "description": "I'm a Teapot",
        "message": "short and <stout>",
    }


async def test_a_page_of_html_is_escaped(failing, serve):
    answer = await ask(await serve(failing), "/teapot", fields=["Accept: text/html"])
    assert "<title>418 I&#x27;m a Teapot</title>" in answer.body
    assert "short and &lt;stout&gt;" in answer.body and "<stout>" not in answer.body


@pytest.mark.parametrize("accept", ["text/plain", "text/html", "application/json"])
async def test_production_never_shows_what_failed(failing, serve, accept):
    answer = await ask(await serve(failing), "/value", fields=[f"Accept: {accept}"])
    assert answer.status == 500
    assert HIDDEN in answer.body
    for hidden in ("secret", "ValueError", "Traceback", "test_handlers"):
        assert hidden not in answer.body


@pytest.mark.parametrize("accept", ["text/plain", "text/html", "application/json"])
async def test_debug_shows_the_traceback(failing, serve, accept):
    answer = await ask(await serve(failing, debug=True), "/value", fields=[f"Accept: {accept}"])
    assert answer.status == 500
    for shown in ("secret", "ValueError", "Traceback", "test_handlers.py", "raise error"):
        assert shown in answer.body
    assert HIDDEN not in answer.body
    if accept == "text/html":
        assert "<value>" not in answer.body


@pytest.mark.parametrize("accept", ["text/plain", "text/html", "application/json"])
async def test_debug_shows_no_traceback_of_what_is_the_clients_fault(failing, serve, accept):
    answer = await ask(await serve(failing, debug=True), "/teapot", fields=[f"Accept: {accept}"])
    assert "Traceback" not in answer.body


async def test_a_sentence_meant_for_the_client_is_told_in_production_too(failing, serve):
    answer = await ask(await serve(failing), "/server")
    assert answer.body == "500 Internal Server Error\ntold <outside>\n"


async def test_context_is_told_and_extra_in_debug_only(app, serve):
    error = SanicException("x", 418, context={"colour": "<red>", "odd": object}, extra={"secret": 5})
    app.add_route(fail(error), "/")
    address = await serve(app)
    told = json_module.loads((await ask(address, fields=["Accept: application/json"])).body)
    assert told["context"] == {"colour": "<red>", "odd": "<class 'object'>"}
    assert "extra" not in told
    for accept, colour in (("text/plain", "colour: <red>"), ("text/html", "colour: &lt;red&gt;")):
        page = (await ask(address, fields=[f"Accept: {accept}"])).body
        assert colour in page and "secret" not in page
    app.debug = True
    assert json_module.loads((await ask(address, fields=["Accept: application/json"])).body)["extra"] == {"secret": 5}
    assert "secret: 5" in (await ask(address)).body


async def test_an_exception_brings_its_headers(app, serve):
    app.add_route(fail(Unauthorized("x", scheme="Basic", realm="a")), "/auth")
    app.add_route(fail(SanicException("x", 503, headers={"Retry-After": "5"})), "/retry")
    address = await serve(app)
    assert (await ask(address, "/auth")).headers["www-authenticate"] == 'Basic realm="a"'
    assert (await ask(address, "/retry")).headers["retry-after"] == "5"
    answer = await ask(address, "/retry", "POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_a_header_of_an_exception_cannot_break_the_head(app, serve):
    app.add_route(fail(Unauthorized("x", scheme="Basic", realm="a\r\nSet-Cookie: x=1")), "/")
    answer = await ask(await serve(app))
    assert answer.status == 500
    assert "set-cookie" not in answer.headers


async def test_a_status_without_content_has_no_page(app, serve):
    app.add_route(fail(SanicException("x", 304)), "/")
    answer = await ask(await serve(app))
    assert (answer.status, answer.body) == (304, "")


async def test_the_page_of_a_head_request_has_a_length_and_no_body(failing, serve):
    answer = await ask(await serve(failing), "/teapot", "HEAD")
    assert (answer.status, answer.body) == (418, "")
    assert answer.headers["content-length"] == str(len("418 I'm a Teapot\nshort and <stout>\n"))


async def test_a_page_keeps_the_connection(failing, serve):
    async with Wire(await serve(failing)) as wire:
        for target, status in ((b"/value", 500), (b"/missing", 404), (b"/teapot", 418)):
            wire.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
            assert (await wire.answer()).status == status


async def test_abort_is_answered_with_its_status(app, serve):
    app.add_route(lambda request: abort(403, "not you"), "/")
    answer = await ask(await serve(app))
    assert (answer.status, answer.body) == (403, "403 Forbidden\nnot you\n")


# The log


@pytest.mark.parametrize(
    ("target", "logged"), [("/value", True), ("/server", True), ("/teapot", False), ("/no", False)]
)
async def test_what_is_not_quiet_is_logged_with_its_traceback(failing, serve, caplog, target, logged):
    await ask(await serve(failing), f"{target}?x=1")
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(records) == logged
    if logged:
        assert records[0].name == "sanicish.error"
        assert f"http://a{target}?x=1" in records[0].getMessage()
        assert records[0].exc_info is not None and records[0].exc_info[2] is not None


async def test_quiet_keeps_an_exception_out_of_the_log_and_only_it(app, serve, caplog):
    app.add_route(fail(ServerError("x", quiet=True)), "/quiet")
    app.add_route(fail(NotFound("x", quiet=False)), "/loud")
    address = await serve(app)
    await ask(address, "/quiet")
    assert caplog.records == []
    await ask(address, "/loud")
    assert len(caplog.records) == 1


async def test_an_exception_somebody_answers_for_is_not_logged(failing, serve, caplog):
    failing.exception(ValueError)(lambda request, error: text("answered"))
    assert (await ask(await serve(failing), "/value")).body == "answered"
    assert caplog.records == []


# Who answers


class Base(Exception):
    pass


class Derived(Base):
    pass


async def test_the_handler_of_the_nearest_class_answers(app, serve):
    app.exception(Base)(lambda request, error: text("base"))
    app.exception(Exception)(lambda request, error: text("any"))
    app.add_route(fail(Derived()), "/derived")
    app.add_route(fail(KeyError()), "/key")
    address = await serve(app)
    assert (await ask(address, "/derived")).body == "base"
    assert (await ask(address, "/key")).body == "any"
    app.exception(Derived)(lambda request, error: text("derived"))
    assert (await ask(address, "/derived")).body == "derived"


async def test_one_handler_may_answer_for_several_classes(app, serve):
    @app.exception(KeyError, [ValueError, TypeError])
    async def handler(request, error):
        return text(type(error).__name__, 409)

    for error in (KeyError(), ValueError(), TypeError()):
        app.add_route(fail(error), f"/{type(error).__name__}")
    address = await serve(app)
    for name in ("KeyError", "ValueError", "TypeError"):
        answer = await ask(address, f"/{name}")
        assert (answer.status, answer.body) == (409, name)


async def test_handlers_answer_for_404_405_and_the_rest_of_ours(app, serve):
    app.exception(NotFound)(lambda request, error: text(f"no {request.path}", 404))
    app.exception(MethodNotAllowed)(lambda request, error: text(",".join(error.allowed_methods), 405))
    app.add_route(lambda request: text("x"), "/here")
    address = await serve(app)
    assert (await ask(address, "/gone")).body == "no /gone"
    assert (await ask(address, "/here", "DELETE")).body == "GET,HEAD"


async def test_a_handler_of_a_status_class_answers_for_what_is_raised_by_abort(app, serve):
    app.exception(NotFound)(lambda request, error: text(str(error), 404))
    app.add_route(lambda request: abort(404, "aborted"), "/")
    assert (await ask(await serve(app))).body == "aborted"


async def test_a_blueprint_answers_for_its_own_routes_only(app, serve):
    bp = Blueprint("bp", url_prefix="/bp")
    bp.exception(ValueError)(lambda request, error: text("blueprint"))
    bp.add_route(fail(ValueError()), "/value", name="value")
    bp.add_route(fail(KeyError()), "/key", name="key")
    app.blueprint(bp)
    app.exception(ValueError, KeyError)(lambda request, error: text("application"))
    app.add_route(fail(ValueError()), "/value", name="own")
    address = await serve(app)
    assert (await ask(address, "/bp/value")).body == "blueprint"
    assert (await ask(address, "/bp/key")).body == "application"
    assert (await ask(address, "/value")).body == "application"


async def test_a_handler_may_stream_its_answer(failing, serve):
    @failing.exception(ValueError)
    async def handler(request, error):
        async def streaming(response):
            await response.write("streamed")

        return stream(streaming, status=503)

    answer = await ask(await serve(failing), "/value")
    assert (answer.status, answer.body) == (503, "8\r\nstreamed\r\n0\r\n\r\n")


async def test_a_handler_that_returns_nothing_leaves_the_answer_to_the_page(failing, serve, caplog):
    seen = []
    failing.exception(ValueError)(lambda request, error: seen.append(error))
    answer = await ask(await serve(failing), "/value")
    assert (answer.status, len(seen), len(caplog.records)) == (500, 1, 1)


async def test_a_handler_that_fails_is_answered_and_logged_with_what_it_failed_for(failing, serve, caplog):
    @failing.exception(ValueError)
    async def handler(request, error):
        raise KeyError("in the handler")

    answer = await ask(await serve(failing), "/value")
    assert (answer.status, answer.body) == (500, f"500 Internal Server Error\n{HIDDEN}\n")
    assert "in the handler" in caplog.text and "secret" in caplog.text
    assert len(caplog.records) == 1


async def test_a_handler_may_raise_the_answer(failing, serve, caplog):
    @failing.exception(ValueError)
    async def handler(request, error):
        raise NotFound("instead")

    answer = await ask(await serve(failing), "/value")
    assert (answer.status, answer.body) == (404, "404 Not Found\ninstead\n")
    assert caplog.records == []


async def test_a_handler_that_returns_what_is_no_response_is_a_page(failing, serve, caplog):
    failing.exception(ValueError)(lambda request, error: object())
    assert (await ask(await serve(failing), "/value")).status == 500
    assert "object" in caplog.text


async def test_an_exception_that_cannot_be_told_is_still_a_page(app, serve):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("cannot tell")

    app.add_route(fail(Mute()), "/")
    assert (await ask(await serve(app))).status == 500
    app.debug = True
    assert (await ask(await serve(app))).status == 500


async def test_response_middleware_sees_pages_and_answers_of_handlers(failing, serve):
    failing.middleware("response")(lambda request, response: response.headers.add("Seen", str(response.status)))
    failing.exception(ValueError)(lambda request, error: text("x", 409))
    address = await serve(failing)
    assert (await ask(address, "/value")).headers["seen"] == "409"
    assert (await ask(address, "/teapot")).headers["seen"] == "418"
    assert (await ask(address, "/missing")).headers["seen"] == "404"


async def test_an_error_handler_of_ones_own_is_asked(app, serve):
    class Own(ErrorHandler):
        def default(self, request, exception):
            return text("own page", 503)

    app.error_handler = Own()
    app.error_handler.add(KeyError, lambda request, error: text("own handler"))
    app.add_route(fail(ValueError()), "/value")
    app.add_route(fail(KeyError()), "/key")
    address = await serve(app)
    assert (await ask(address, "/value")).body == "own page"
    assert (await ask(address, "/key")).body == "own handler"


# The range of a request, as Sanic's class reads it


def read_range(field, total=10):
    fields = [] if field is None else [(b"range", field.encode("latin-1"))]
    return ContentRangeHandler(SimpleNamespace(headers=Headers.from_raw(fields)), SimpleNamespace(st_size=total))


@pytest.mark.parametrize(
    ("field", "start", "end"),
    [
        ("bytes=0-4", 0, 4),
        ("bytes = 2 - 2", 2, 2),
        ("bytes=5-", 5, 9),
        ("bytes=5-99", 5, 9),
        ("bytes=-3", 7, 9),
        ("bytes=-99", 0, 9),
        ("bytes=0-" + "9" * 5000, 0, 9),
        ("bytes=-" + "9" * 5000, 0, 9),
        ("bytes=" + "0" * 5000 + "1-2", 1, 2),
    ],
)
def test_a_range_is_kept_inside_the_file(field, start, end):
    found = read_range(field)
    assert (found.start, found.end, found.size, found.total) == (start, end, end + 1 - start, 10)
    assert found.headers == {"Content-Range": f"bytes {start}-{end}/10"}
    assert found


@pytest.mark.parametrize(
    "field",
    [
        "bytes=10-12",
        "bytes=5-4",
        "bytes=-0",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-2,4-5",
        "bytes=²-",
        "bytes=" + "9" * 5000 + "-",
        "bytes=+1-2",
        "bytes=1_0-",
        "bytes",
        "bytes=--5",
    ],
)
def test_a_range_without_a_byte_of_the_file_is_refused_with_its_size(field):
    with pytest.raises(ContentRangeError) as caught:
        read_range(field)
    assert caught.value.headers == {"Content-Range": "bytes */10"}


def test_an_empty_file_has_no_range():
    for field in ("bytes=0-0", "bytes=-5", "bytes=0-"):
        with pytest.raises(ContentRangeError):
            read_range(field, 0)


def test_a_range_in_another_unit_or_none_at_all_is_refused_by_name():
    with pytest.raises(InvalidRangeType):
        read_range("lines=1-2")
    with pytest.raises(HeaderNotFound):
        read_range(None)
