"""Responses: every helper with its defaults, what a stream takes, files, and what of it is on the wire."""

import asyncio
import errno
import os
from contextlib import suppress
from decimal import Decimal
from types import SimpleNamespace

import pytest

from sanicish.exceptions import FileNotFound, RangeNotSatisfiable, StreamClosed
from sanicish.response import (
    BaseHTTPResponse,
    HTTPResponse,
    ResponseStream,
    StreamingHTTPResponse,
    empty,
    encode,
    file,
    file_stream,
    html,
    json,
    raw,
    redirect,
    stream,
    streaming,
    text,
)
from sanicish.server import protocol, sendfile
from sanicish.streams import files
from tests.doubles.wire import Wire
from tests.waiting import until

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


async def ask(address, method="GET", target="/", version="1.1", fields=()):
    """One request, and every byte of its response but the Date: status line, fields by name, body."""
    async with Wire(address) as wire:
        head = "".join(
            f"{line}\r\n" for line in (f"{method} {target} HTTP/{version}", "Host: a", "Connection: close", *fields)
        )
        wire.send(head.encode() + b"\r\n")
        head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    return status, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, body


def serving(app, handler, **options):
    app.add_route(handler, "/", **options)
    return app


def unchunked(body):
    data = []
    while body:
        size, _, body = body.partition(b"\r\n")
        data.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return b"".join(data)


def chunks(*pieces):
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


# The helpers


@pytest.mark.parametrize(
    ("response", "status", "content_type", "body"),
    [
        (text("\xe9"), 200, TEXT, b"\xc3\xa9"),
        (text("x", 201, {"A": "1"}, "text/csv"), 201, "text/csv", b"x"),
        (text(5), 200, TEXT, b"5"),
        (text(Decimal("1.50")), 200, TEXT, b"1.50"),
        (text(""), 200, TEXT, b""),
        (json({"a": [1, None, "\xe9"]}), 200, "application/json", b'{"a":[1,null,"\\u00e9"]}'),
        (json(None), 200, "application/json", b"null"),
        (json({"b": 1, "a": 2}, sort_keys=True), 200, "application/json", b'{"a":2,"b":1}'),
        (json([], 201, {"A": "1"}, "application/hal+json"), 201, "application/hal+json", b"[]"),
        (json(5, dumps=lambda value: f"<{value}>"), 200, "application/json", b"<5>"),
        (json(5, dumps=lambda value: b"bytes"), 200, "application/json", b"bytes"),
        (html("<p>"), 200, HTML, b"<p>"),
        (html(b"<p>", 404, {"A": "1"}), 404, HTML, b"<p>"),
        (html(SimpleNamespace(__html__=lambda: "<i>", _repr_html_=lambda: "<b>")), 200, HTML, b"<i>"),
        (html(SimpleNamespace(_repr_html_=lambda: "<b>")), 200, HTML, b"<b>"),
        (raw(b"\x00\xff"), 200, "application/octet-stream", b"\x00\xff"),
        (raw(bytearray(b"x"), 201, {"A": "1"}, "image/png"), 201, "image/png", b"x"),
        (raw(memoryview(b"x")), 200, "application/octet-stream", b"x"),
        (empty(), 204, None, b""),
        (empty(201, {"A": "1"}), 201, None, b""),
        (HTTPResponse(), 200, None, b""),
        (HTTPResponse("x", 201, {"A": "1"}, "text/csv"), 201, "text/csv", b"x"),
        (HTTPResponse(body_bytes=b"x"), 200, None, b"x"),
        (HTTPResponse(b"a", body_bytes=b"b"), 200, None, b"a"),
    ],
)
def test_a_helper_makes_its_response(response, status, content_type, body):
    assert type(response) is HTTPResponse
    assert (response.status, response.content_type, response.body) == (status, content_type, body)
    assert dict(response.headers.items()) == ({"A": "1"} if "a" in response.headers else {})


@pytest.mark.parametrize("body", [b"x", bytearray(b"x"), memoryview(b"x"), None, {}, [], object()])
def test_text_is_made_of_text(body):
    with pytest.raises(TypeError):
        text(body)


@pytest.mark.parametrize("body", [{}, [1], (), {1}, object(), 1j])
def test_a_body_is_made_of_text_bytes_or_numbers(body):
    for make in (HTTPResponse, raw, html):
        with pytest.raises(TypeError, match=type(body).__name__):
            make(body)


def test_json_of_what_is_no_json_raises_where_it_is_made():
    with pytest.raises(TypeError):
        json(object())


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\n", "a\x00", "\xe9"])
def test_no_helper_takes_a_header_that_breaks_the_head(value):
    async def nothing(response):
        pass

    for make in (
        lambda headers: text("x", headers=headers),
        lambda headers: json("x", headers=headers),
        lambda headers: html("x", headers=headers),
        lambda headers: raw("x", headers=headers),
        lambda headers: empty(headers=headers),
        lambda headers: redirect("/x", headers=headers),
        lambda headers: stream(nothing, headers=headers),
        lambda headers: HTTPResponse("x", headers=headers),
        lambda headers: setattr(text("x"), "headers", headers),
    ):
        with pytest.raises(ValueError, match="cannot be sent"):
            make({"X": value})
        with pytest.raises(ValueError, match="not a header name"):
            make({value: "x"})


@pytest.mark.parametrize("value", ["text/plain\r\nX: y", "text/plain\n", "a\x00", "\u20ac"])
def test_no_helper_takes_a_content_type_that_breaks_the_head(value):
    async def nothing(response):
        pass

    for make in (
        lambda: text("x", content_type=value),
        lambda: json("x", content_type=value),
        lambda: raw("x", content_type=value),
        lambda: redirect("/x", content_type=value),
        lambda: stream(nothing, content_type=value),
        lambda: HTTPResponse("x", content_type=value),
        lambda: setattr(text("x"), "content_type", value),
        lambda: setattr(stream(nothing), "content_type", value),
    ):
        with pytest.raises(ValueError, match="cannot be sent"):
            make()


def test_a_response_has_the_names_of_other_frameworks_too():
    response = text("x", 201)
    assert (response.status_code, response.data) == (201, b"x")
    response.status_code = 202
    assert response.status == 202


def test_the_headers_of_a_response_can_be_set_as_a_whole():
    response = text("x", headers={"A": "1"})
    response.headers = {"B": "2"}
    assert response.headers == {"B": "2"}
    response.headers = None
    assert not response.headers


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("/x?a=1&b=2#c", "/x?a=1&b=2#c"),
        ("https://a.example:81/~x/(y);z=1", "https://a.example:81/~x/(y);z=1"),
        ("/caf\xe9 \u20ac", "/caf%C3%A9%20%E2%82%AC"),
        ("/100%25", "/100%25"),
        ("/a\r\nSet-Cookie: x=1", "/a%0D%0ASet-Cookie:%20x=1"),
        ("/a\x00\x7f", "/a%00%7F"),
        ('/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("", ""),
    ],
)
def test_a_redirect_can_carry_any_address_and_nothing_else(to, location):
    response = redirect(to)
    assert (response.status, response.content_type, response.body) == (302, HTML, b"")
    assert response.headers["location"] == location


def test_a_redirect_takes_status_and_headers():
    response = redirect("/x", {"A": "1", "Location": "/y"}, 308, "text/plain")
    assert (response.status, response.content_type) == (308, "text/plain")
    assert response.headers == {"a": "1", "location": "/x"}


def test_a_redirect_of_what_is_no_text_raises():
    for to in (None, 5):
        with pytest.raises(TypeError):
            redirect(to)


def test_a_stream_is_plain_text_unless_told_otherwise():
    async def streaming(response):
        pass

    for response in (stream(streaming), StreamingHTTPResponse(streaming)):
        assert (response.status, response.content_type, response.chunked) == (200, TEXT, None)
        assert response.streaming_fn is streaming
        assert isinstance(response, BaseHTTPResponse)
        assert ResponseStream is type(response) is StreamingHTTPResponse
    response = stream(streaming, 201, {"A": "1"}, "text/csv", False)
    assert (response.status, response.headers["a"], response.content_type, response.chunked) == (
        201,
        "1",
        "text/csv",
        False,
    )


def test_a_stream_is_given_the_function_not_what_it_returns():
    async def streaming(response):
        pass

    called = streaming(None)
    with pytest.raises(TypeError, match=r"stream\(fn\)"):
        stream(called)
    called.close()


async def test_a_stream_cannot_be_written_before_it_is_sent():
    response = stream(lambda response: None)
    for use in (lambda: response.write("x"), response.flush, response.eof, lambda: response.send("x")):
        with pytest.raises(StreamClosed):
            use()


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ("\xe9", b"\xc3\xa9"),
        (b"\x00", b"\x00"),
        (bytearray(b"x"), b"x"),
        (memoryview(b"xyz")[::2], b"xz"),
        (5, b"5"),
        (-1, b"-1"),
        (1.5, b"1.5"),
        (Decimal("1.10"), b"1.10"),
        (True, b"True"),
    ],
)
def test_data_becomes_bytes(data, sent):
    assert encode(data) == sent


# Whole responses on the wire


async def test_a_response_is_sent_with_its_length(app, serve):
    status, fields, body = await ask(await serve(serving(app, lambda request: text("\xe9", 201, {"A": "1"}))))
    assert (status, body) == ("HTTP/1.1 201 Created", b"\xc3\xa9")
    del fields["date"]
    assert fields == {"content-type": TEXT, "a": "1", "content-length": "2", "connection": "close"}


async def test_a_response_without_a_type_names_none(app, serve):
    _, fields, _ = await ask(await serve(serving(app, lambda request: HTTPResponse("x"))))
    assert "content-type" not in fields


async def test_a_content_type_among_the_headers_comes_first(app, serve):
    _, fields, _ = await ask(await serve(serving(app, lambda request: text("x", headers={"content-type": "text/csv"}))))
    assert fields["content-type"] == "text/csv"


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive"])
async def test_a_whole_response_is_framed_by_what_it_is_not_by_what_it_says(app, serve, name):
    value = "5" if name == "Content-Length" else "chunked"
    _, fields, body = await ask(await serve(serving(app, lambda request: text("abc", headers={name: value}))))
    assert body == b"abc"
    assert fields["content-length"] == "3" and fields["connection"] == "close"
    assert "transfer-encoding" not in fields and "keep-alive" not in fields


async def test_head_is_told_everything_but_the_body(app, serve):
    status, fields, body = await ask(await serve(serving(app, lambda request: text("abc"))), "HEAD")
    assert (status, fields["content-length"], fields["content-type"], body) == ("HTTP/1.1 200 OK", "3", TEXT, b"")


@pytest.mark.parametrize(("status", "length"), [(204, None), (205, "0"), (304, None)])  # RFC 9110 15.3.5, 15.3.6, 8.6
async def test_a_status_without_content_has_none_whatever_the_body(app, serve, status, length):
    line, fields, body = await ask(await serve(serving(app, lambda request: text("abc", status))))
    assert line.split()[1] == str(status)
    assert (fields.get("content-length"), body) == (length, b"")
    assert "transfer-encoding" not in fields


async def test_a_304_may_tell_the_length_it_would_have_had(app, serve):
    handler = serving(app, lambda request: HTTPResponse(status=304, headers={"Content-Length": "5"}))
    _, fields, body = await ask(await serve(handler))
    assert (fields["content-length"], body) == ("5", b"")


async def test_a_response_may_be_changed_until_it_is_sent(app, serve):
    @app.middleware("response")
    async def change(request, response):
        response.status = 201
        response.body = "text, not bytes"
        response.content_type = "text/csv"
        response.headers["A"] = "1"

    status, fields, body = await ask(await serve(serving(app, lambda request: text("x"))))
    assert (status, body) == ("HTTP/1.1 201 Created", b"text, not bytes")
    assert (fields["a"], fields["content-type"], fields["content-length"]) == ("1", "text/csv", "15")


async def test_one_response_object_may_answer_many_requests(app, serve):
    again = text("x", headers={"A": "1"})
    address = await serve(serving(app, lambda request: again))
    first, second = await ask(address), await ask(address)
    assert first[2] == second[2] == b"x"
    assert second[1]["a"] == "1"


async def test_an_injected_header_is_an_error_page_and_no_header(app, serve):
    def handler(request):
        return text("x", headers={"A": request.args.get("a")})

    status, fields, _ = await ask(await serve(serving(app, handler)), target="/?a=1%0D%0ASet-Cookie:%20x=1")
    assert status == "HTTP/1.1 500 Internal Server Error"
    assert "set-cookie" not in fields


# Streams on the wire


async def test_every_kind_of_data_is_written(app, serve):
    async def streaming(response):
        again = bytearray(b"again")
        await response.write("\xe9")
        await response.write(b"\x00\xff")
        await response.write(memoryview(b"view"))
        response.write(again)
        again[:] = b"other"
        await response.write(5)
        await response.write(1.5)
        await response.write(Decimal("1.10"))

    _, fields, body = await ask(await serve(serving(app, lambda request: stream(streaming))))
    assert fields["transfer-encoding"] == "chunked" and "content-length" not in fields
    assert body == chunks(b"\xc3\xa9", b"\x00\xff", b"view", b"again", b"5", b"1.5", b"1.10")


@pytest.mark.parametrize("data", [None, {}, [1], (1,), {1}, object(), 1j, "\udcff"], ids=repr)
async def test_data_of_another_kind_raises_before_a_byte_leaves(app, serve, data):
    async def streaming(response):
        await response.write(data)

    status, fields, _ = await ask(await serve(serving(app, lambda request: stream(streaming))))
    assert status == "HTTP/1.1 500 Internal Server Error"
    assert "content-length" in fields


async def test_data_of_another_kind_leaves_the_stream_as_it_was(app, serve):
    async def streaming(response):
        await response.write("a")
        for data, hint in (({}, "json"), (None, "NoneType")):
            with pytest.raises(TypeError, match=hint):
                response.write(data)
        await response.write("b")

    assert (await ask(await serve(serving(app, lambda request: stream(streaming)))))[2] == chunks(b"a", b"b")


@pytest.mark.parametrize("nothing", ["", b"", bytearray()])
async def test_an_empty_write_does_not_end_the_body(app, serve, nothing):
    async def streaming(response):
        await response.write(nothing)
        await response.write("a")
        await response.write(nothing)
        await response.write("b")

    assert (await ask(await serve(serving(app, lambda request: stream(streaming)))))[2] == chunks(b"a", b"b")


async def test_an_empty_write_and_a_flush_send_the_head(app, serve):
    go = asyncio.Event()

    async def streaming(response):
        await response.write("") if response.status == 200 else await response.flush()
        await go.wait()

    app.add_route(lambda request: stream(streaming), "/write")
    app.add_route(lambda request: stream(streaming, 201), "/flush")
    address = await serve(app)
    for target in (b"/write", b"/flush"):
        go.clear()
        async with Wire(address) as wire:
            wire.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
            assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 20")
            go.set()
            assert await wire.until(b"0\r\n\r\n") == b"0\r\n\r\n"


async def test_a_flush_between_writes_changes_nothing_of_the_body(app, serve):
    async def streaming(response):
        for piece in ("a", "b"):
            response.write(piece)
            await response.flush()

    assert (await ask(await serve(serving(app, lambda request: stream(streaming)))))[2] == chunks(b"a", b"b")


async def test_a_stream_that_writes_nothing_is_an_empty_body(app, serve):
    async def streaming(response):
        pass

    assert (await ask(await serve(serving(app, lambda request: stream(streaming)))))[2] == b"0\r\n\r\n"


async def test_headers_status_and_type_may_be_set_until_the_head_leaves(app, serve):
    late = []

    async def streaming(response):
        response.status = 201
        response.headers["A"] = "1"
        response.content_type = "text/csv"
        await response.write("x")
        try:
            response.headers["B"] = "2"
        except RuntimeError as error:
            late.append(error)

    status, fields, _ = await ask(await serve(serving(app, lambda request: stream(streaming))))
    assert (status, fields["a"], fields["content-type"]) == ("HTTP/1.1 201 Created", "1", "text/csv")
    assert "b" not in fields and len(late) == 1


async def test_a_stream_without_headers_refuses_a_late_one_too(app, serve):
    late = []

    async def streaming(response):
        await response.write("x")
        try:
            response.headers["B"] = "2"
        except RuntimeError as error:
            late.append(error)

    await ask(await serve(serving(app, lambda request: stream(streaming))))
    assert len(late) == 1


async def test_a_promised_length_is_told_and_kept(app, serve):
    async def streaming(response):
        await response.write("abc")
        await response.write("de")

    _, fields, body = await ask(await serve(serving(app, lambda r: stream(streaming, headers={"Content-Length": 5}))))
    assert (fields["content-length"], body) == ("5", b"abcde")
    assert "transfer-encoding" not in fields


async def test_more_than_the_promised_length_is_never_sent(app, serve):
    async def streaming(response):
        await response.write("abc")
        await response.write("defg")

    _, _, body = await ask(await serve(serving(app, lambda r: stream(streaming, headers={"Content-Length": "5"}))))
    assert body == b"abc"


async def test_less_than_the_promised_length_cuts_the_connection(app, serve):
    async def streaming(response):
        await response.write("abc")

    async with Wire(await serve(serving(app, lambda r: stream(streaming, headers={"Content-Length": "5"})))) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await wire.rest()).endswith(b"\r\n\r\nabc")


async def test_a_promise_that_is_no_number_is_an_error_page(app, serve):
    async def streaming(response):
        await response.write("abc")

    status, _, _ = await ask(await serve(serving(app, lambda r: stream(streaming, headers={"Content-Length": "5x"}))))
    assert status == "HTTP/1.1 500 Internal Server Error"


@pytest.mark.parametrize(
    ("chunked", "length", "told", "body"),
    [
        (None, None, {"transfer-encoding": "chunked"}, chunks(b"abc")),
        (None, "3", {"content-length": "3"}, b"abc"),
        (True, "3", {"transfer-encoding": "chunked"}, chunks(b"abc")),
        (True, None, {"transfer-encoding": "chunked"}, chunks(b"abc")),
        (False, "3", {"content-length": "3"}, b"abc"),
        (False, None, {"connection": "close"}, b"abc"),
    ],
)
async def test_chunked_and_length_choose_the_framing(app, serve, chunked, length, told, body):
    async def streaming(response):
        await response.write("abc")

    headers = {"Content-Length": length} if length else None
    handler = serving(app, lambda request: stream(streaming, headers=headers, chunked=chunked))
    async with Wire(await serve(handler)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = (await wire.until(b"\r\n\r\n")).decode()
        names = ("transfer-encoding", "content-length", "connection")
        lines = [line.split(": ") for line in head.split("\r\n") if ": " in line]
        assert {name.lower(): value for name, value in lines if name.lower() in names} == told
        assert await wire.exactly(len(body)) == body
        if told == {"connection": "close"}:
            assert await wire.rest() == b""


@pytest.mark.parametrize(("status", "length"), [(204, None), (205, "0"), (304, None)])
async def test_the_stream_of_a_status_without_content_is_not_run(app, serve, status, length):
    ran = []

    async def streaming(response):
        ran.append(response)

    line, fields, body = await ask(await serve(serving(app, lambda request: stream(streaming, status))))
    assert (line.split()[1], fields.get("content-length"), body, ran) == (str(status), length, b"", [])
    assert "transfer-encoding" not in fields


async def test_the_stream_of_a_head_request_is_not_run(app, serve):
    ran = []

    async def streaming(response):
        ran.append(response)

    status, fields, body = await ask(await serve(serving(app, lambda request: stream(streaming))), "HEAD")
    assert (status, fields["transfer-encoding"], body, ran) == ("HTTP/1.1 200 OK", "chunked", b"", [])


async def test_a_response_that_streams_can_be_sent_once_only(app, serve):
    async def streaming(response):
        await response.write("x")

    again = stream(streaming)
    address = await serve(serving(app, lambda request: again))
    assert (await ask(address))[2] == chunks(b"x")
    assert (await ask(address))[0] == "HTTP/1.1 500 Internal Server Error"


async def test_writing_after_the_end_raises_and_sends_nothing(app, serve):
    raised = []

    async def streaming(response):
        await response.write("x")
        await response.eof()
        await response.eof()
        for late in (lambda: response.write("late"), lambda: response.send("late")):
            try:
                late()
            except StreamClosed as error:
                raised.append(error)

    assert (await ask(await serve(serving(app, lambda request: stream(streaming)))))[2] == chunks(b"x")
    assert len(raised) == 2


# Files


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"0123456789")
    return path


@pytest.fixture
def descriptors(tmp_path):
    """Gives the files below the test's directory that are open; none may be left at the end."""

    def opened():
        targets = []
        for number in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):  # the one that listed them
                targets.append(os.readlink(f"/proc/self/fd/{number}"))
        return [target for target in targets if target.startswith(str(tmp_path))]

    yield opened
    assert opened() == []


async def test_a_file_is_sent_with_length_and_type(app, serve, path, descriptors):
    async def handler(request):
        return await file(path)

    status, fields, body = await ask(await serve(serving(app, handler)))
    assert (status, body) == ("HTTP/1.1 200 OK", b"0123456789")
    assert (fields["content-length"], fields["content-type"]) == ("10", "text/csv; charset=utf-8")
    assert "content-disposition" not in fields and "transfer-encoding" not in fields


async def test_a_file_takes_status_type_headers_and_a_name(app, serve, path, descriptors):
    async def handler(request):
        return await file(str(path), 201, "text/x", {"A": "1"}, "na\xefve.csv")

    status, fields, _ = await ask(await serve(serving(app, handler)))
    assert (status, fields["content-type"], fields["a"]) == ("HTTP/1.1 201 Created", "text/x", "1")
    assert fields["content-disposition"] == "attachment; filename=\"na_ve.csv\"; filename*=UTF-8''na%C3%AFve.csv"


async def test_the_type_of_a_download_follows_the_name_it_is_given(app, serve, path, descriptors):
    async def handler(request):
        return await file(path, filename="data.txt")

    assert (await ask(await serve(serving(app, handler))))[1]["content-type"] == TEXT


async def test_a_disposition_of_ones_own_is_kept(app, serve, path, descriptors):
    async def handler(request):
        return await file(path, headers={"Content-Disposition": "inline"}, filename="x")

    assert (await ask(await serve(serving(app, handler))))[1]["content-disposition"] == "inline"


async def test_a_file_stream_is_chunked_by_the_size_it_is_told(app, serve, path, descriptors):
    async def handler(request):
        return await file_stream(path, chunk_size=4)

    _, fields, body = await ask(await serve(serving(app, handler)))
    assert fields["transfer-encoding"] == "chunked" and "content-length" not in fields
    assert body == chunks(b"0123", b"4567", b"89")


async def test_a_file_stream_has_the_signature_of_2020(app, serve, path, descriptors):
    async def handler(request):
        response = await file_stream(path, 201, 4, "text/x", {"A": "1"}, "y.csv", False)
        assert isinstance(response, StreamingHTTPResponse)
        return response

    status, fields, body = await ask(await serve(serving(app, handler)))
    assert (status, fields["content-type"], fields["a"], body) == ("HTTP/1.1 201 Created", "text/x", "1", b"0123456789")
    assert (fields["content-length"], fields["content-disposition"]) == ("10", 'attachment; filename="y.csv"')


async def test_a_length_given_by_hand_is_told_and_checked(app, serve, path, descriptors):
    async def handler(request):
        return await file_stream(path, headers={"Content-Length": request.args.get("n")}, chunked=False)

    address = await serve(serving(app, handler))
    assert (await ask(address, target="/?n=10"))[1:][1] == b"0123456789"
    _, fields, body = await ask(address, target="/?n=5")
    assert (fields["content-length"], body) == ("5", b"")
    _, fields, body = await ask(address, target="/?n=20")
    assert (fields["content-length"], body) == ("20", b"0123456789")


async def test_what_is_told_is_told_of_the_file_that_was_opened(app, serve, path, descriptors):
    async def handler(request):
        response = await file_stream(path, chunked=False)
        (path.parent / "new").write_bytes(b"new")
        (path.parent / "new").replace(path)
        return response

    _, fields, body = await ask(await serve(serving(app, handler)))
    assert (fields["content-length"], body) == ("10", b"0123456789")


async def test_an_empty_file_is_an_empty_body(app, serve, path, descriptors):
    path.write_bytes(b"")

    async def handler(request):
        return await file(path)

    status, fields, body = await ask(await serve(serving(app, handler)))
    assert (status, fields["content-length"], body) == ("HTTP/1.1 200 OK", "0", b"")


@pytest.mark.parametrize("make", [file, file_stream])
@pytest.mark.parametrize(("start", "end", "sent"), [(0, 0, b"0"), (2, 5, b"2345"), (7, 9, b"789"), (7, 99, b"789")])
async def test_a_range_of_a_file_is_sent_to_the_byte(app, serve, path, descriptors, make, start, end, sent):
    async def handler(request):
        return await make(path, _range=SimpleNamespace(start=start, end=end, size=end + 1 - start, total=10))

    status, fields, body = await ask(await serve(serving(app, handler)))
    assert status == "HTTP/1.1 206 Partial Content"
    assert fields["content-range"] == f"bytes {start}-{min(end, 9)}/10"
    if make is file:
        assert (fields["content-length"], body) == (str(len(sent)), sent)
    else:
        assert body == chunks(sent)


@pytest.mark.parametrize(("start", "end"), [(10, 12), (5, 4), (-1, 3)])
async def test_a_range_without_a_byte_of_the_file_is_416(app, serve, path, descriptors, start, end):
    async def handler(request):
        return await file(path, _range=SimpleNamespace(start=start, end=end, size=0, total=10))

    with pytest.raises(RangeNotSatisfiable):
        await handler(None)
    status, fields, _ = await ask(await serve(serving(app, handler)))
    assert (status.split()[1], fields["content-range"]) == ("416", "bytes */10")


async def test_head_of_a_file_does_not_read_it(app, serve, path, monkeypatch, descriptors):
    def fail(*arguments):
        raise AssertionError("read")

    monkeypatch.setattr(files.os, "pread", fail)
    monkeypatch.setattr(files.os, "sendfile", fail)

    async def handler(request):
        return await (file if request.path == "/file" else file_stream)(path)

    app.add_route(handler, "/file")
    app.add_route(handler, "/stream")
    address = await serve(app)
    status, fields, body = await ask(address, "HEAD", "/file")
    assert (status, fields["content-length"], body) == ("HTTP/1.1 200 OK", "10", b"")
    status, fields, body = await ask(address, "HEAD", "/stream")
    assert (status, fields["transfer-encoding"], body) == ("HTTP/1.1 200 OK", "chunked", b"")
    assert descriptors() == []


@pytest.mark.parametrize("make", [file, file_stream])
async def test_what_is_no_file_is_404_before_a_byte_leaves(app, serve, tmp_path, make):
    os.mkfifo(tmp_path / "fifo")

    async def handler(request):
        return await make(tmp_path / request.args.get("name", ""))

    with pytest.raises(FileNotFound):
        await make(tmp_path / "missing")
    address = await serve(serving(app, handler))
    for name in ("missing", "", "fifo", "a%00b", "x" * 300):
        status, fields, body = await ask(address, target=f"/?name={name}")
        assert (status, fields["content-type"]) == ("HTTP/1.1 404 Not Found", TEXT)
        assert str(tmp_path).encode() not in body


async def test_a_file_that_is_removed_after_it_was_opened_is_sent(app, serve, path, descriptors):
    async def handler(request):
        response = await file_stream(path)
        path.unlink()
        return response

    _, _, body = await ask(await serve(serving(app, handler)))
    assert body == chunks(b"0123456789")


async def test_a_file_that_is_not_sent_is_closed(app, serve, path, descriptors):
    path.write_bytes(b"x" * 100_000)

    async def handler(request):
        await file(path)
        return text(f"{len(descriptors())}")

    _, _, body = await ask(await serve(serving(app, handler)))
    assert body == b"0"


@pytest.mark.parametrize(("number", "status"), [(errno.EACCES, 403), (errno.EPERM, 403), (errno.EMFILE, 500)])
async def test_a_file_that_cannot_be_opened_is_a_page_that_says_why(app, serve, path, monkeypatch, number, status):
    async def handler(request):
        return await file(path)

    def fail(path, links):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(files, "_syscall", None)
    monkeypatch.setattr(files, "_open", fail)
    line, _, body = await ask(await serve(serving(app, handler)))
    assert line.split()[1] == str(status)
    assert str(path).encode() not in body


@pytest.fixture(params=["by the kernel", "by reading"])
def way(request, monkeypatch):
    """How a file gets to its client; what is sent at once is little, so that something can happen in between."""
    monkeypatch.setattr(sendfile, "_BLOCK", 65_536)
    monkeypatch.setattr(streaming, "_READ", 65_536)
    if request.param == "by reading":
        monkeypatch.setattr(protocol, "can_send_files", lambda transport: False)
    return request.param


@pytest.mark.parametrize("make", [file, file_stream])
async def test_a_file_that_shrinks_is_cut_and_never_ended(app, serve, path, descriptors, make, way):
    path.write_bytes(b"x" * 20_000_000)

    async def handler(request):
        return await make(path)

    app.config.WRITE_TIMEOUT = None
    async with Wire(await serve(serving(app, handler))) as wire:
        wire.writer.transport.pause_reading()
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await until(descriptors)
        os.truncate(path, 300_000)
        wire.writer.transport.resume_reading()
        head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
    assert 0 < body.count(b"x") < 20_000_000
    if make is file:
        assert b"\r\nContent-Length: 20000000\r\n" in head
    else:
        assert not body.endswith(b"0\r\n\r\n")


async def test_a_file_that_grows_is_sent_as_it_was_opened(app, serve, path, descriptors, way):
    path.write_bytes(b"x" * 1_000_000)

    async def handler(request):
        response = await file(path)
        with path.open("ab") as more:
            more.write(b"more")
        return response

    _, fields, body = await ask(await serve(serving(app, handler)))
    assert (fields["content-length"], body) == ("1000000", b"x" * 1_000_000)


async def test_a_large_file_arrives_as_it_is_and_the_connection_goes_on(app, serve, path, descriptors, way):
    content = bytes(range(256)) * 20_000
    path.write_bytes(content)
    app.add_route(lambda request: file(path), "/file")
    app.add_route(lambda request: file_stream(path), "/stream")
    app.add_route(lambda request: text("next"), "/next")
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"\r\n\r\n")
        assert await wire.exactly(len(content)) == content
        await wire.until(b"\r\n\r\nnext")
        wire.send(b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        raw = await wire.rest()
        assert unchunked(raw.partition(b"\r\n\r\n")[2]) == content


@pytest.mark.slow
async def test_a_reader_that_stops_is_cut_by_the_write_clock(app, serve, path, descriptors):
    path.write_bytes(b"x" * 20_000_000)
    app.config.WRITE_TIMEOUT = 0.2
    app.add_route(lambda request: file(path), "/")
    async with Wire(await serve(app)) as wire:
        wire.writer.transport.pause_reading()
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(descriptors)
        await until(lambda: not descriptors())


async def test_a_client_that_leaves_in_the_middle_leaves_no_file_open(app, serve, path, descriptors):
    path.write_bytes(b"x" * 10_000_000)

    async def handler(request):
        return await file(path)

    async with Wire(await serve(serving(app, handler))) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"\r\n\r\n")
        assert descriptors() == [str(path)]
        wire.reset()
    await until(lambda: not descriptors())


async def test_a_file_may_answer_by_respond(app, serve, path, descriptors):
    async def handler(request):
        await request.respond(await file(path))

    _, _, body = await ask(await serve(serving(app, handler)))
    assert body == chunks(b"0123456789")
