"""Requests: every part a handler can look at, the body in all its forms, and answers begun by respond()."""

import gzip
import json as json_module
from types import SimpleNamespace
from uuid import UUID

import pytest

from sanicish import Sanic
from sanicish.exceptions import InvalidUsage, PayloadTooLarge, SanicException, ServerError
from sanicish.exchange import ConnInfo, Exchange, RequestHead
from sanicish.request import Request
from sanicish.response import HTTPResponse, file_stream, json, stream, text
from sanicish.streams.incoming import EMPTY, RequestStream, StreamBuffer
from tests.doubles.wire import Wire


class Plain(Exchange):
    """An exchange that is only looked at."""

    bodiless = False
    inform = start = write = flush = finish = send_whole = tunnel = abort = None


def transport(**extra):
    defaults = {"peername": ("1.2.3.4", 5000), "sockname": ("9.9.9.9", 8000)}
    return SimpleNamespace(get_extra_info=lambda name: (defaults | extra).get(name))


def request(target=b"/", fields=(), method="GET", conn=None, app=None, body=None, **settings):
    """A request as a handler of a plain route is given it."""
    app = app or Sanic("test", configure_logging=False, register=False, load_env=False)
    app.config.update(settings)
    fields = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in fields)
    exchange = Plain(RequestHead(method, target, "1.1", fields), EMPTY, ConnInfo(conn or transport()))
    made = Request(exchange, app)
    made._body = body
    return made


async def ask(address, head, body=b""):
    """Send a request; the whole of what comes until the connection closes."""
    async with Wire(address) as wire:
        wire.send(head + b"Host: a\r\nConnection: close\r\n\r\n" + body)
        return await wire.rest()


async def post(address, body, fields=b"", target=b"/"):
    answer = await ask(address, b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n" % (target, fields, len(body)), body)
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def get(address, target=b"/"):
    head, _, body = (await ask(address, b"GET %b HTTP/1.1\r\n" % target)).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


# The head


def test_the_parts_of_a_target():
    made = request(b"/a%20b/%C3%A9?x=1&y=%20#", method="PUT")
    assert (made.method, made.path, made.query_string) == ("PUT", "/a%20b/%C3%A9", "x=1&y=%20#")
    assert made.raw_url == b"/a%20b/%C3%A9?x=1&y=%20#"
    assert made.version == "1.1"
    assert repr(made) == "<Request: PUT /a%20b/%C3%A9>"


def test_the_fields_can_be_read_by_name_and_raw():
    made = request(fields=[("X-A", "1"), ("x-a", "2"), ("X-B", "caf\xe9")])
    assert made.headers["X-a"] == "1" and made.headers.getall("x-A") == ["1", "2"] and made.headers["x-b"] == "caf\xe9"
    assert made.raw_headers == [(b"x-a", b"1"), (b"x-a", b"2"), (b"x-b", b"caf\xe9")]


def test_content_type_and_accept_have_defaults():
    assert (request().content_type, request().accept) == ("application/octet-stream", "*/*")
    made = request(fields=[("Content-Type", "text/csv"), ("Accept", "text/html")])
    assert (made.content_type, made.accept) == ("text/csv", "text/html")


@pytest.mark.parametrize(
    ("field", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER  abc ", "abc"),
        ("Token abc", "abc"),
        ("token abc", "abc"),
        ("abc", "abc"),
        ("Basic YTpi", "Basic YTpi"),
        ("Bearerabc", "Bearerabc"),
        ("Bearer", "Bearer"),
        (None, None),
    ],
)
def test_the_token_is_what_follows_bearer_or_token(field, token):
    assert request(fields=[("Authorization", field)] if field else []).token == token


def test_the_id_is_what_the_client_says_or_one_of_its_own():
    assert request(fields=[("X-Request-ID", "abc")]).id == "abc"
    assert request(fields=[("X-Trace", "abc")], REQUEST_ID_HEADER="X-Trace").id == "abc"
    made = request()
    assert isinstance(made.id, UUID)
    assert made.id == made.id != request().id
    assert isinstance(request(fields=[("X-Request-ID", "abc")], REQUEST_ID_HEADER=None).id, UUID)


def test_cookies_of_several_fields_are_one_list():
    made = request(fields=[("Cookie", "a=1"), ("Cookie", "b=2; a=3")])
    assert made.cookies == {"a": "1", "b": "2"}
    assert made.cookies is made.cookies


# The query


def test_args_are_lists_and_get_is_the_first():
    made = request(b"/?a=1&b=2&a=3&c=&d")
    assert made.args == {"a": ["1", "3"], "b": ["2"]}
    assert made.args.get("a") == "1" and made.args.getlist("a") == ["1", "3"] and made.args["a"] == ["1", "3"]
    assert made.args.get("c") is None and made.args.get("c", "x") == "x"
    assert made.query_args == [("a", "1"), ("b", "2"), ("a", "3")]
    assert made.raw_args == {"a": "1", "b": "2"}


def test_without_a_query_there_is_nothing():
    for target in (b"/", b"/?"):
        made = request(target)
        assert (made.query_string, made.args, made.query_args, made.raw_args) == ("", {}, [], {})
        assert made.get_args(strict_parsing=True) == {}


def test_blanks_are_kept_if_asked_for():
    made = request(b"/?a=&b&c=1")
    assert made.get_args(keep_blank_values=True) == {"a": [""], "b": [""], "c": ["1"]}
    assert made.get_query_args(keep_blank_values=True) == [("a", ""), ("b", ""), ("c", "1")]
    assert made.args == {"c": ["1"]}


def test_another_encoding_can_be_asked_for():
    made = request(b"/?a=%E9")
    assert made.args == {"a": ["\ufffd"]}
    assert made.get_args(encoding="latin-1") == {"a": ["\xe9"]}
    assert made.get_args(errors="ignore") == {"a": [""]}
    assert made.get_query_args(encoding="latin-1") == [("a", "\xe9")]


def test_strict_parsing_refuses_what_is_no_query():
    with pytest.raises(InvalidUsage):
        request(b"/?a").get_args(strict_parsing=True)
    with pytest.raises(InvalidUsage):
        request(b"/?a=1&b").get_query_args(strict_parsing=True)


def test_what_is_percent_encoded_is_text():
    assert request(b"/?%C3%A9=%E2%82%AC+%2B%00").args == {"\xe9": ["\u20ac +\x00"]}


# Where it came from


def test_the_peer_is_an_address_and_a_port():
    made = request()
    assert (made.ip, made.port, made.socket) == ("1.2.3.4", 5000, ("1.2.3.4", 5000))
    made = request(conn=transport(peername=("::1", 5000, 0, 0)))
    assert (made.ip, made.port, made.socket) == ("::1", 5000, ("::1", 5000))
    made = request(conn=transport(peername=""))
    assert (made.ip, made.port, made.socket) == ("", 0, ("", 0))


@pytest.mark.parametrize(
    ("host", "tls", "server_name", "server_port"),
    [
        ("a.example", False, "a.example", 80),
        ("a.example", True, "a.example", 443),
        ("a.example:81", False, "a.example", 81),
        ("[::1]", False, "[::1]", 80),
        ("[::1]:81", True, "[::1]", 81),
        ("1.2.3.4:81", False, "1.2.3.4", 81),
        ("a:", False, "a", 80),
        ("a:x", False, "a", 80),
        ("a:\xb2", False, "a", 80),
        ("a:" + "9" * 5000, False, "a", 80),
        ("", False, "", 80),
    ],
)
def test_the_host_the_client_named_is_taken_apart(host, tls, server_name, server_port):
    made = request(b"/x?y=1", [("Host", host)], conn=transport(ssl_object=object() if tls else None))
    scheme = "https" if tls else "http"
    assert (made.host, made.server_name, made.server_port, made.scheme) == (host, server_name, server_port, scheme)
    assert made.url == f"{scheme}://{host}/x?y=1"


FORWARDED = [
    ("Host", "inner:8000"),
    ("X-Forwarded-For", "5.6.7.8"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "outer"),
    ("X-Forwarded-Port", "444"),
    ("X-Forwarded-Path", "/outer/x"),
    ("Forwarded", 'for="[2001:db8::1]:5";proto=https;host="rfc.example:445";path="/rfc";secret=s'),
]


def test_without_trust_a_proxy_is_the_client():
    made = request(b"/x", FORWARDED)
    assert (made.forwarded, made.remote_addr) == ({}, "")
    assert (made.scheme, made.host, made.server_port, made.server_path) == ("http", "inner:8000", 8000, "/x")
    assert made.url == "http://inner:8000/x"


def test_a_trusted_proxy_tells_who_the_client_is():
    made = request(b"/x?y=1", FORWARDED, PROXIES_COUNT=1, FORWARDED_FIELDS="proto, host, port, path")
    assert (made.remote_addr, made.ip) == ("5.6.7.8", "1.2.3.4")
    assert (made.scheme, made.host, made.server_name, made.server_port) == ("https", "outer", "outer", 444)
    assert (made.server_path, made.path, made.url) == ("/outer/x", "/x", "https://outer/x?y=1")


def test_a_proxy_that_knows_the_secret_tells_who_the_client_is():
    made = request(b"/x", FORWARDED, FORWARDED_SECRET="s")
    assert made.remote_addr == "[2001:db8::1]"
    assert (made.scheme, made.host, made.server_name, made.server_port) == (
        "https",
        "rfc.example:445",
        "rfc.example",
        445,
    )
    assert made.server_path == "/rfc"
    assert made.forwarded is made.forwarded


def test_a_server_name_that_is_a_whole_address_comes_before_all():
    made = request(b"/x", FORWARDED, PROXIES_COUNT=1, SERVER_NAME="https://public.example:446/base")
    assert (made.scheme, made.host, made.server_name) == ("https", "public.example:446", "public.example")
    assert made.url == "https://public.example:446/x"
    assert request(b"/x", [("Host", "a")], SERVER_NAME="https://b.example").url == "https://b.example/x"
    assert made.server_port == 446


@pytest.mark.parametrize("name", ["public.example:446", "//public.example:446", "public.example:446/"])
def test_a_server_name_without_a_scheme_comes_before_the_host_of_the_client(app, name):
    app.add_route(lambda request: text(""), "/reset", name="reset")
    app.config.SERVER_NAME = name
    made = request(b"/x", [("Host", "evil.example")], app=app)
    assert (made.scheme, made.host, made.server_port) == ("http", "public.example:446", 446)
    assert made.url_for("reset") == "http://public.example:446/reset"
    made = request(b"/x", FORWARDED, PROXIES_COUNT=1, SERVER_NAME=name)
    assert (made.scheme, made.host, made.server_port) == ("https", "public.example:446", 446)


def test_the_address_of_a_route_is_on_the_host_that_was_asked(app):
    app.add_route(lambda request, name: text(name), "/hello/<name>", name="hello")
    made = request(b"/", [("Host", "a.example:81")], app=app)
    assert made.url_for("hello", name="x", q=1) == "http://a.example:81/hello/x?q=1"


# What the application made of it


def test_ctx_is_free_and_so_are_items():
    made = request()
    made.ctx.user = "x"
    assert made["user"] == "x" and "user" in made and made.get("user") == "x"
    made["other"] = 1
    assert made.ctx.other == 1
    del made["other"]
    assert "other" not in made and made.get("other") is None and made.get("other", 5) == 5
    with pytest.raises(KeyError, match="other"):
        made["other"]
    with pytest.raises(KeyError, match="other"):
        del made["other"]


async def test_a_handler_sees_route_application_and_parameters(app, serve):
    @app.get("/<number:int>/<name>", name="here")
    async def handler(request, number, name):
        assert request.app is app
        assert request.match_info == {"number": 5, "name": "x"}
        assert request.endpoint == request.name == request.route.name
        assert request.uri_template == "/<number:int>/<name>"
        assert request.stream is None
        assert request.body == b""
        assert (request.json, request.form, request.files) == (None, {}, {})
        assert request.conn_info is request.conn_info and request.transport is request.conn_info.transport
        assert request.ip == "127.0.0.1" and request.port == request.socket[1] > 0
        assert request.responded is False
        assert request.cancel_reason is None
        assert request.head.method == "GET"
        return text(request.endpoint)

    status, body = await get(await serve(app), b"/5/x")
    assert (status, body) == (200, b"test.here")


async def test_a_connection_keeps_what_the_application_gives_it(app, serve):
    @app.get("/")
    async def handler(request):
        request.conn_info.ctx.count = getattr(request.conn_info.ctx, "count", 0) + 1
        return text(request.conn_info.ctx.count)

    async with Wire(await serve(app)) as wire:
        for count in (b"1", b"2"):
            wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await wire.answer()).body == count


async def test_a_request_may_be_of_a_class_of_ones_own(serve):
    class Own(Request):
        def twice(self):
            return self.path * 2

    app = Sanic("own", request_class=Own, configure_logging=False, register=False, load_env=False)
    app.add_route(lambda request: text(request.twice()), "/x")
    assert await get(await serve(app), b"/x") == (200, b"/x/x")


# The body


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, null]}', {"a": [1, None]}),
        (b'"\xc3\xa9"', "\xe9"),
        (b"\xef\xbb\xbf5", 5),
        ('"\xe9"'.encode("utf-16"), "\xe9"),
        (b" 5 ", 5),
        (b"null", None),
        (b"", None),
        (None, None),
    ],
)
def test_json_is_read_whatever_the_content_type(body, value):
    made = request(body=body)
    assert made.json == value
    assert made.json == value


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b"\xff", b" ", b"1 2", b"[" * 100_000, b"9" * 5_000, b"\x00"])
def test_what_is_no_json_is_a_bad_request_every_time(body):
    made = request(body=body)
    for _ in range(2):
        with pytest.raises(InvalidUsage, match="json"):
            made.json
    with pytest.raises(InvalidUsage):
        made.load_json()


def test_size_of_json_is_a_setting_and_the_route_comes_before_it(app):
    app.post("/")(lambda request: text(str(len(request.json))))
    app.post("/large", max_body_size=100)(lambda request: text(str(len(request.json))))
    app.config.REQUEST_MAX_JSON_SIZE = 20
    assert app.test_client.post("/", data=b'"%b"' % (b"x" * 18))[1].text == "18"
    answer = app.test_client.post("/", data=b'"%b"' % (b"x" * 19))[1]
    assert answer.status == 413 and "20 bytes" in answer.text and "REQUEST_MAX_JSON_SIZE" in answer.text
    assert app.test_client.post("/large", data=b'"%b"' % (b"x" * 90))[1].text == "90"
    app.config.REQUEST_MAX_JSON_SIZE = None
    assert app.test_client.post("/", data=b'"%b"' % (b"x" * 9_000_000))[1].text == "9000000"


def test_json_above_4_mib_is_too_large_by_default(app):
    app.post("/")(lambda request: text(str(len(request.json))))
    assert app.test_client.post("/", data=b"[%b]" % (b"[]," * 1_300_000 + b"[]"))[1].text == "1300001"
    assert app.test_client.post("/", data=b"[%b]" % (b"[]," * 1_400_000 + b"[]"))[1].status == 413


def test_compressed_json_is_refused_unless_a_function_of_ones_own_undoes_it(app):
    app.post("/")(lambda request: text(str(request.json)))
    app.post("/own")(
        lambda request: text(str(request.load_json(lambda body: json_module.loads(gzip.decompress(body)))))
    )
    packed = {"data": gzip.compress(b"[1]"), "headers": {"Content-Encoding": "gzip"}}
    answer = app.test_client.post("/", **packed)[1]
    assert (answer.status, answer.headers["Accept-Encoding"]) == (415, "identity")
    assert "Content-Encoding: gzip" in answer.text
    assert app.test_client.post("/own", **packed)[1].text == "[1]"


def test_json_can_be_read_by_a_function_of_ones_own():
    assert request(body=b"5").load_json(loads=lambda body: body * 2) == b"55"
    made = request(body=b"5", app=Sanic("x", loads=lambda body: "app", register=False, configure_logging=False))
    assert made.json == "app"

    def fail(body):
        raise RuntimeError

    with pytest.raises(InvalidUsage):
        request(body=b"5").load_json(fail)


async def test_a_plain_route_has_the_whole_body_and_no_stream(app, serve):
    @app.post("/")
    async def handler(request):
        assert request.stream is None
        assert await request.receive_body() is request.body
        return json({"body": request.body.decode(), "json": request.json})

    assert await post(await serve(app), b'{"a": 1}') == (200, b'{"body":"{\\"a\\": 1}","json":{"a":1}}')


async def test_broken_json_is_answered_with_400(app, serve):
    app.add_route(lambda request: json(request.json), "/", methods=["POST"])
    status, body = await post(await serve(app), b"{")
    assert (status, b"json" in body) == (400, True)


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b'{"a":-Infinity}'])
async def test_numbers_that_json_does_not_have_are_answered_with_400(app, serve, body):
    app.add_route(lambda request: json(request.json), "/", methods=["POST"])
    assert (await post(await serve(app), body))[0] == 400


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
async def test_json_is_read_in_every_unicode_encoding(app, serve, encoding):
    app.add_route(lambda request: json(request.json), "/", methods=["POST"])
    assert await post(await serve(app), '["\u00fc"]'.encode(encoding)) == (200, b'["\\u00fc"]')


async def test_a_body_above_the_limit_is_413(app, serve):
    app.config.REQUEST_MAX_SIZE = 5
    app.add_route(lambda request: text(request.body), "/", methods=["POST"])
    app.add_route(lambda request: text(len(request.body)), "/more", methods=["POST"], max_body_size=10)
    address = await serve(app)
    assert (await post(address, b"123456"))[0] == 413
    assert await post(address, b"123456", target=b"/more") == (200, b"6")
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
    assert b" 413 " in (await ask(address, chunked, b"3\r\n123\r\n3\r\n456\r\n0\r\n\r\n"))[:20]


async def test_the_body_of_a_streaming_route_is_a_stream_and_the_rest_says_so(app, serve):
    @app.post("/", stream=True)
    async def handler(request):
        assert isinstance(request.stream, StreamBuffer) and StreamBuffer is RequestStream
        for name in ("body", "json", "form", "files"):
            with pytest.raises(ServerError, match=r"receive_body\(\)"):
                getattr(request, name)
        assert await request.stream.read() == b"a=1"
        assert await request.stream.read() is await request.stream.read() is None
        return text("ok")

    assert await post(await serve(app), b"a=1") == (200, b"ok")


async def test_receive_body_makes_a_streaming_route_a_plain_one(app, serve):
    @app.post("/", stream=True)
    async def handler(request):
        assert await request.receive_body() == request.body == b"a=1&a=2"
        assert await request.receive_body() is request.body
        return json(request.form)

    form = b"Content-Type: application/x-www-form-urlencoded\r\n"
    assert await post(await serve(app), b"a=1&a=2", form) == (200, b'{"a":["1","2"]}')


async def test_receive_body_reads_what_is_left(app, serve):
    @app.post("/", stream=True)
    async def handler(request):
        assert await request.stream.read(2) == b"12"
        return text((await request.receive_body()).decode())

    assert await post(await serve(app), b"12345") == (200, b"345")


async def test_receive_body_keeps_to_the_limit_of_whole_bodies(app, serve):
    app.config.REQUEST_MAX_SIZE = 5

    @app.post("/", stream=True)
    async def handler(request):
        try:
            await request.receive_body()
        except PayloadTooLarge:
            return text("too large")

    assert await post(await serve(app), b"123456") == (200, b"too large")


async def test_a_streaming_route_without_a_body_has_an_ended_stream(app, serve):
    @app.get("/", stream=True)
    async def handler(request):
        assert await request.stream.read() is None
        return text(await request.receive_body() == b"" == request.body and "empty")

    assert await get(await serve(app)) == (200, b"empty")


# respond()


def chunks(*pieces):
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def test_respond_begins_an_answer_that_is_sent_piece_by_piece(app, serve):
    @app.get("/")
    async def handler(request):
        response = await request.respond(status=201, headers={"A": "1"}, content_type="text/csv")
        assert request.responded is True
        await response.send("a,")
        await response.send(5)
        await response.write(b",b")
        await response.eof()

    answer = await ask(await serve(app), b"GET / HTTP/1.1\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 Created\r\n")
    assert b"\r\nA: 1\r\n" in head and b"\r\nContent-Type: text/csv\r\n" in head
    assert body == chunks(b"a,", b"5", b",b")


async def test_an_answer_begun_by_respond_is_plain_text_and_ends_with_the_handler(app, serve):
    @app.get("/")
    async def handler(request):
        response = await request.respond()
        await response.send("x")

    answer = await ask(await serve(app), b"GET / HTTP/1.1\r\n")
    assert b"\r\nContent-Type: text/plain; charset=utf-8\r\n" in answer
    assert answer.endswith(b"\r\n\r\n" + chunks(b"x"))


@pytest.mark.parametrize(
    "ending",
    [
        lambda response: response.send("x", True),
        lambda response: response.send("x", end_stream=True),
        lambda response: response.send(b"x", end_stream=1),
    ],
)
async def test_send_may_end_the_answer(app, serve, ending):
    @app.get("/")
    async def handler(request):
        response = await request.respond()
        await ending(response)
        with pytest.raises(Exception, match="ended"):
            await response.send("late")

    assert (await get(await serve(app)))[1] == chunks(b"x")


async def test_send_of_nothing_ends_the_answer_unless_told_not_to(app, serve):
    @app.get("/")
    async def handler(request):
        response = await request.respond()
        await response.send(end_stream=False)
        await response.send("x")
        await response.send()
        await response.send()

    assert (await get(await serve(app)))[1] == chunks(b"x")


async def test_an_answer_can_be_begun_by_async_with(app, serve):
    @app.get("/")
    async def handler(request):
        async with await request.respond() as response:
            await response.send("x")
        with pytest.raises(Exception, match="ended"):
            await response.send("late")

    assert (await get(await serve(app)))[1] == chunks(b"x")


async def test_an_error_inside_async_with_does_not_end_the_answer(app, serve):
    @app.get("/")
    async def handler(request):
        async with await request.respond() as response:
            await response.send("x")
            raise ValueError

    assert (await get(await serve(app)))[1] == b"1\r\nx\r\n"


async def test_an_error_before_the_first_data_is_still_a_page(app, serve):
    @app.get("/")
    async def handler(request):
        await request.respond()
        raise SanicException("teapot", status_code=418)

    status, body = await get(await serve(app))
    assert (status, b"teapot" in body) == (418, True)


async def test_a_second_respond_is_refused(app, serve):
    @app.get("/")
    async def handler(request):
        response = await request.respond()
        with pytest.raises(ServerError, match="Second respond"):
            await request.respond()
        await response.send("x")

    assert await get(await serve(app)) == (200, chunks(b"x"))


@pytest.mark.parametrize(
    "made", [lambda: HTTPResponse("whole", 201, {"A": "1"}), lambda: text("whole", 201, {"A": "1"})]
)
async def test_respond_sends_a_whole_response_and_what_is_added(app, serve, made):
    @app.get("/")
    async def handler(request):
        given = made()
        given.cookies["c"] = "1"
        response = await request.respond(given)
        await response.send("+")

    answer = await ask(await serve(app), b"GET / HTTP/1.1\r\n")
    assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
    assert b"\r\nA: 1\r\n" in answer and b"\r\nSet-Cookie: c=1; Path=/\r\n" in answer
    assert answer.endswith(chunks(b"whole", b"+"))


async def test_a_body_that_middleware_makes_text_is_sent_as_its_bytes(app, serve):
    @app.middleware("response")
    async def change(request, response):
        response.body = "\xe9"

    @app.get("/")
    async def handler(request):
        await request.respond(text("x"))

    assert await get(await serve(app)) == (200, chunks(b"\xc3\xa9"))


async def test_respond_runs_a_stream_it_is_given(app, serve, tmp_path):
    (tmp_path / "file").write_bytes(b"data")

    async def streaming(response):
        await response.write("x")

    @app.get("/stream")
    async def streams(request):
        await request.respond(stream(streaming))

    @app.get("/file")
    async def files(request):
        await request.respond(await file_stream(tmp_path / "file"))

    address = await serve(app)
    assert (await get(address, b"/stream"))[1] == chunks(b"x")
    assert (await get(address, b"/file"))[1] == chunks(b"data")


async def test_response_middleware_sees_an_answer_before_its_head_and_may_replace_it(app, serve):
    @app.middleware("response")
    async def replace(request, response):
        response.headers["Seen"] = "yes"
        return text("other", 202) if request.path == "/replaced" else None

    @app.get("/")
    async def handler(request):
        await (await request.respond()).send("x")

    @app.get("/replaced")
    async def replaced(request):
        await (await request.respond()).send("x")

    address = await serve(app)
    assert b"\r\nSeen: yes\r\n" in await ask(address, b"GET / HTTP/1.1\r\n")
    assert await get(address, b"/replaced") == (202, chunks(b"other", b"x"))


async def test_the_answer_of_respond_may_be_returned(app, serve):
    @app.get("/")
    async def handler(request):
        response = await request.respond()
        await response.send("x")
        return response

    assert await get(await serve(app)) == (200, chunks(b"x"))


async def test_a_response_returned_beside_respond_is_an_error_in_the_log(app, serve, caplog):
    @app.get("/")
    async def handler(request):
        await (await request.respond()).send("x")
        return text("another")

    assert await get(await serve(app)) == (200, chunks(b"x"))
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_respond_to_head_ends_with_its_head(app, serve):
    sent = []

    @app.get("/")
    async def handler(request):
        response = await request.respond()
        await response.send("x")
        sent.append("went on")

    answer = await ask(await serve(app), b"HEAD / HTTP/1.1\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert sent == []


def test_what_json_reads_is_what_json_writes():
    value = {"a": [1, 2.5, None, True, "\xe9\u20ac\x00"]}
    assert request(body=json(value).body).json == value == json_module.loads(json(value).body)
