"""The test client: every argument, over a real socket."""

import asyncio
import io
import socket
import ssl

import pytest
import trustme

from sanicish.response import HTTPResponse, empty, html, json, raw, redirect, stream, text
from sanicish.testing import SanicTestClient, TestResponse
from sanicish.testing.messages import target_of


@pytest.fixture
def client(app):
    """A client of an application that tells what it was sent."""

    @app.route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    async def echo(request):
        return json(
            {
                "method": request.method,
                "target": request.raw_url.decode(),
                "headers": {name.lower(): request.headers.getall(name) for name in request.headers},
                "body": request.body.decode("latin-1"),
            }
        )

    @app.post("/form")
    async def form(request):
        files = [[name, f.name, f.type, f.body.decode()] for name, all_ in request.files.items() for f in all_]
        return json({"form": dict(request.form), "files": files})

    return app.test_client


def sent(client, method="GET", path="/echo", **options):
    return client.request(method, path, **options)[1].json


# The response


def test_call_gives_request_and_response(client):
    request, response = client.get("/echo")
    assert (request.method, request.path, request.app) == ("GET", "/echo", client.app)
    assert response.status == response.status_code == 200


def test_response_alone_may_be_asked_for(client):
    assert client.get("/echo", gather_request=False).status == 200


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_every_method_has_a_call(client, method):
    assert getattr(client, method)("/echo")[1].json["method"] == method.upper()


def test_head_has_a_call(client):
    response = client.head("/echo")[1]
    assert (response.status, response.body) == (200, b"")
    assert int(response.headers["Content-Length"]) > 0


def test_request_that_no_route_answers_is_given_too(client):
    request, response = client.get("/nothing")
    assert (request.path, response.status) == ("/nothing", 404)


def test_request_that_is_refused_before_the_application_is_none(client):
    request, response = client.get("/echo", headers={"Transfer-Encoding": "gzip"})
    assert request is None
    assert response.status >= 400


def test_response_is_read_in_every_form(app):
    app.get("/")(lambda request: json({"a": [1]}, headers={"X-Two": "2"}))
    response = app.test_client.get("/")[1]
    assert response.body == response.content == response.data == b'{"a":[1]}'
    assert response.text == '{"a":[1]}'
    assert response.json == {"a": [1]}
    assert response.content_type == "application/json"
    assert response.headers["x-two"] == "2"


def test_body_that_is_no_json_reads_as_none(app):
    app.get("/")(lambda request: text("plain"))
    assert app.test_client.get("/")[1].json is None


@pytest.mark.parametrize(
    "content_type", ["text/plain; charset=latin-1", 'text/plain; charset="latin-1"', "text/plain; charset=latin-1; x=y"]
)
def test_text_is_read_in_its_charset(app, content_type):
    app.get("/")(lambda request: raw("é".encode("latin-1"), content_type=content_type))
    assert app.test_client.get("/")[1].text == "é"


def test_response_without_a_type(app):
    app.get("/")(lambda request: HTTPResponse("é"))
    response = app.test_client.get("/")[1]
    assert (response.content_type, response.text) == (None, "é")


def test_chunks_are_those_of_the_wire(app):
    @app.get("/")
    async def handler(request):
        async def write(response):
            await response.write("one")
            await response.write("three")

        return stream(write)

    response = app.test_client.get("/")[1]
    assert (response.chunks, response.body, response.complete) == ([b"one", b"three"], b"onethree", True)


def test_answer_that_ends_with_its_connection_is_complete(app):
    app.get("/")(lambda request: stream(lambda response: response.write("all"), chunked=False))
    response = app.test_client.get("/")[1]
    assert (response.body, response.complete) == (b"all", True)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "100"}])
def test_answer_that_was_cut_is_not_complete(app, headers):
    @app.get("/")
    async def handler(request):
        async def write(response):
            await response.write("half")
            raise ValueError

        return stream(write, headers=headers)

    response = app.test_client.get("/")[1]
    assert (response.body, response.complete) == (b"half", False)


def test_answer_that_was_cut_by_a_reset_is_not_complete(app, monkeypatch):
    seen = asyncio.Event()

    def on_body(self, data):
        self.chunks.append(data)
        seen.set()

    monkeypatch.setattr(TestResponse, "on_body", on_body)

    @app.get("/")
    async def handler(request):
        async def write(response):
            await response.write("half")
            await seen.wait()
            raise ValueError  # what ends with its connection is cut by a reset

        return stream(write, chunked=False)

    response = app.test_client.get("/")[1]
    assert (response.body, response.complete) == (b"half", False)


def test_no_answer_at_all_is_an_error(app):
    app.get("/")(lambda request: request.transport.abort())
    with pytest.raises(ConnectionError, match=r"http://127\.0\.0\.1:[0-9]+/ was not answered"):
        app.test_client.get("/")


@pytest.mark.parametrize("status", [204, 304])
def test_answer_without_a_body_is_complete(app, status):
    app.get("/")(lambda request: empty(status))
    response = app.test_client.get("/")[1]
    assert (response.status, response.body, response.complete) == (status, b"", True)


def test_what_stands_before_the_answer_is_not_the_answer(client):
    """RFC 9110 15.2: 100 Continue is followed by the response itself."""
    response = client.post("/echo", data="body", headers={"Expect": "100-continue"})[1]
    assert (response.status, response.json["body"]) == (200, "body")


# What is sent


def test_target_is_sent_as_it_is(client):
    assert sent(client, path="/echo?a=%20b&c")["target"] == "/echo?a=%20b&c"


@pytest.mark.parametrize("params", [{"a": "x y", "b": [1, 2]}, [("a", "x y"), ("b", 1), ("b", 2)]])
def test_params_make_the_query(client, params):
    assert sent(client, params=params)["target"] == "/echo?a=x+y&b=1&b=2"


@pytest.mark.parametrize(
    ("path", "target"), [("/a b", "/a%20b"), ("/é?ö=ü", "/%C3%A9?%C3%B6=%C3%BC"), ("/%20'", "/%20'")]
)
def test_what_cannot_stand_in_a_request_line_is_encoded(path, target):
    assert target_of(path) == target


def test_no_path_is_the_root(app):
    app.add_route(lambda request: text("here"), "/")
    assert app.test_client.get(gather_request=False).text == "here"


def test_params_are_added_to_a_query(client):
    assert sent(client, path="/echo?z=0", params={"a": 1})["target"] == "/echo?z=0&a=1"


def test_headers_are_sent_and_replace_what_the_client_would_say(client):
    headers = sent(client, headers={"X-A": "1", "host": "own.test", "Accept": "text/html"})["headers"]
    assert (headers["x-a"], headers["host"], headers["accept"]) == (["1"], ["own.test"], ["text/html"])


@pytest.mark.parametrize("headers", [{"X-A": ["1", "2"]}, [("X-A", "1"), ("x-a", "2")]])
def test_header_may_be_sent_twice(client, headers):
    assert sent(client, headers=headers)["headers"]["x-a"] == ["1", "2"]


def test_cookies_are_sent(client):
    assert sent(client, cookies={"a": "1", "b": "2"})["headers"]["cookie"] == ["a=1; b=2"]


@pytest.mark.parametrize("data", ["text é", "text é".encode(), bytearray("text é".encode())])
def test_data_is_the_body(client, data):
    found = sent(client, "POST", data=data)
    assert found["body"].encode("latin-1").decode() == "text é"
    assert found["headers"]["content-length"] == ["7"]
    assert "content-type" not in found["headers"]


def test_post_without_data_says_so(client):
    assert sent(client, "POST")["headers"]["content-length"] == ["0"]


def test_json_is_encoded(client):
    found = sent(client, "POST", json={"a": None})
    assert (found["body"], found["headers"]["content-type"]) == ('{"a": null}', ["application/json"])


def test_empty_json_is_sent(client):
    assert sent(client, "PUT", json={})["body"] == "{}"


@pytest.mark.parametrize("data", [{"a": "x y", "b": [1, 2]}, [("a", "x y"), ("b", 1), ("b", 2)]])
def test_mapping_is_sent_as_a_form(client, data):
    assert sent(client, "POST", "/form", data=data) == {"form": {"a": ["x y"], "b": ["1", "2"]}, "files": []}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (b"content", ["f", "f", "application/octet-stream", "content"]),
        ("content", ["f", "f", "application/octet-stream", "content"]),
        (("a.txt", "content"), ["f", "a.txt", "application/octet-stream", "content"]),
        (("a.txt", b"content", "text/plain"), ["f", "a.txt", "text/plain", "content"]),
        (io.BytesIO(b"content"), ["f", "f", "application/octet-stream", "content"]),
    ],
)
def test_file_is_sent(client, given, found):
    assert sent(client, "POST", "/form", files={"f": given}) == {"form": {}, "files": [found]}


def test_open_file_is_sent_under_its_own_name(client, tmp_path):
    path = tmp_path / "own.bin"
    path.write_bytes(b"content")
    with path.open("rb") as opened:
        found = sent(client, "POST", "/form", files=[("f", opened)])
    assert found["files"] == [["f", "own.bin", "application/octet-stream", "content"]]


def test_files_and_fields_go_together(client):
    found = sent(client, "POST", "/form", data={"a": "1", "b": ["2", "3"]}, files={"f": b"x"})
    assert found["form"] == {"a": ["1"], "b": ["2", "3"]}
    assert found["files"][0][0] == "f"


def test_name_of_a_file_cannot_break_the_form(client):
    found = sent(client, "POST", "/form", files={"f": ('a"; name="x\r\ny', b"content")})
    assert [one[0] for one in found["files"]] == ["f"]


# Redirects


@pytest.fixture
def redirecting(app):
    app.route("/end", methods=["GET", "POST", "PUT"])(
        lambda request: json([request.method, request.body.decode(), request.headers.get("cookie", "")])
    )
    app.route("/to", methods=["GET", "POST", "PUT"])(
        lambda request: redirect(request.args.get("where", "/end"), status=int(request.args.get("status", "302")))
    )
    return app.test_client


def test_redirect_is_followed(redirecting):
    request, response = redirecting.get("/to")
    assert (request.path, response.status, response.json) == ("/end", 200, ["GET", "", ""])
    assert response.url.endswith("/end")
    assert [(one.status, one.headers["Location"]) for one in response.history] == [(302, "/end")]


def test_redirect_is_not_followed_if_told_so(redirecting):
    request, response = redirecting.get("/to", allow_redirects=False)
    assert (request.path, response.status, response.history) == ("/to", 302, [])


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("POST", 301, ["GET", "", ""]),
        ("POST", 302, ["GET", "", ""]),
        ("POST", 303, ["GET", "", ""]),
        ("PUT", 303, ["GET", "", ""]),
        ("POST", 307, ["POST", "body", ""]),
        ("POST", 308, ["POST", "body", ""]),
        ("PUT", 302, ["PUT", "body", ""]),
    ],
)
def test_method_after_a_redirect_is_that_of_a_browser(redirecting, method, status, expected):
    """RFC 9110 15.4."""
    assert redirecting.request(method, f"/to?status={status}", data="body")[1].json == expected


def test_head_stays_head_after_a_redirect(app):
    app.get("/end")(lambda request: text("", headers={"X-Method": request.method}))
    app.get("/to")(lambda request: redirect("/end", status=303))
    assert app.test_client.head("/to")[1].headers["X-Method"] == "HEAD"


def test_redirect_may_be_relative(app):
    app.get("/a/b")(lambda request: redirect("c"))
    app.get("/a/c")(lambda request: text("found"))
    assert app.test_client.get("/a/b")[1].text == "found"


def test_redirect_to_another_server_is_not_followed(redirecting):
    response = redirecting.get("/to?where=http://other.test/")[1]
    assert (response.status, response.headers["Location"]) == (302, "http://other.test/")


def test_redirects_in_a_circle_come_to_an_end(redirecting):
    response = redirecting.get("/to?where=/to%3Fwhere%3D/to")[1]
    assert response.json == ["GET", "", ""]
    app = redirecting.app
    app.get("/circle")(lambda request: redirect("/circle"))
    response = redirecting.get("/circle")[1]
    assert (response.status, len(response.history)) == (302, 20)


def test_cookies_set_on_the_way_are_sent_on(app, redirecting):
    @app.get("/login")
    async def login(request):
        response = redirect("/end")
        response.cookies["session"] = "s1"
        return response

    response = redirecting.get("/login", cookies={"a": "1"})[1]
    assert response.json[2] == "a=1; session=s1"
    assert response.history[0].cookies == {"session": "s1"}


# The server


def test_every_call_starts_and_stops_the_server(app, client):
    heard = []
    app.before_server_start(lambda app: heard.append("start"))
    app.after_server_stop(lambda app: heard.append("stop"))
    client.get("/echo")
    client.get("/echo")
    assert heard == ["start", "stop"] * 2
    assert not app.is_running


def test_listener_that_fails_fails_the_call(app, client):
    @app.before_server_start
    async def fail(app):
        raise ValueError("no database")

    with pytest.raises(ValueError, match="no database"):
        client.get("/echo")


def test_debug_shows_what_went_wrong(app):
    @app.get("/")
    async def fail(request):
        raise ValueError("the reason")

    assert "the reason" not in app.test_client.get("/", debug=False)[1].text
    assert "the reason" in app.test_client.get("/", debug=True)[1].text


def test_arguments_of_the_server_are_passed_on(client, tmp_path):
    path = str(tmp_path / "s.sock")
    request, response = client.get("/echo", server_kwargs={"unix": path, "auto_reload": False})
    assert response.status == 200
    assert request.ip == ""


def test_client_speaks_tls_if_the_server_does(app):
    certificate = trustme.CA().issue_cert("localhost")
    context = _server_context(certificate)
    app.get("/")(lambda request: text(request.scheme))
    app.get("/to")(lambda request: redirect("/"))
    assert app.test_client.get("/to", server_kwargs={"ssl": context})[1].text == "https"


def _server_context(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def test_port_may_be_chosen(app):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app.get("/")(lambda request: html(request.host))
    client = SanicTestClient(app, port=port)
    assert client.get("/")[1].text == f"127.0.0.1:{port}"


def test_host_may_be_chosen(app):
    app.get("/")(lambda request: html(request.server_name))
    assert SanicTestClient(app, host="localhost").get("/")[1].text == "localhost"


async def test_client_inside_a_loop_says_what_to_do(client):
    with pytest.raises(RuntimeError, match=r"app\.test_client\(\), or app\.create_server"):
        client.get("/echo")


def test_nothing_of_the_client_stays_in_the_application(app, client):
    client.get("/echo")
    assert app.early_middleware == []


def test_handler_may_work_on_after_its_answer(app):
    finished = []

    @app.get("/")
    async def handler(request):
        response = await request.respond()
        await response.send("answer", end_stream=True)
        await asyncio.sleep(0)
        finished.append(True)

    assert app.test_client.get("/")[1].text == "answer"
    assert finished == [True]


async def test_the_settings_of_the_application_stay_as_they_are(app):
    app.get("/")(lambda request: text(""))
    async with app.test_client() as client:
        await client.get("/")
    await asyncio.to_thread(app.test_client.get, "/", server_kwargs={"access_log": False})
    assert app.config.ACCESS_LOG is True
