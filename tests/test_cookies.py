"""Cookies in both directions (RFC 6265): what comes is read carefully, what goes cannot smuggle anything."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from sanicish import Sanic, cookies
from sanicish.cookies import Cookie, CookieJar, parse_cookies
from sanicish.response import stream, text
from tests.doubles.wire import Wire


async def ask(address, target=b"/", *fields):
    """One request; the lines of the response's head and its body."""
    async with Wire(address) as wire:
        wire.send(b"\r\n".join([b"GET %b HTTP/1.1" % target, b"Host: a", b"Connection: close", *fields, b"", b""]))
        head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


def set_cookies(lines):
    return [line[12:] for line in lines if line.lower().startswith(b"set-cookie: ")]


# What a client sends


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1;b=2", {"a": "1", "b": "2"}),
        ("  a = 1 ;\tb=2\t", {"a": "1", "b": "2"}),
        ("a=", {"a": ""}),
        ("a=b=c==", {"a": "b=c=="}),
        ("a", {}),
        ("=1", {}),
        ("", {}),
        (";;;", {}),
        ("a; b=2; ;=; c=3", {"b": "2", "c": "3"}),
        ('a="x y"', {"a": "x y"}),
        ('a="', {"a": '"'}),
        ('a=""', {"a": ""}),
        (r'a="q\"q\\"', {"a": 'q"q\\'}),
        (r'a="\054\073"', {"a": ",;"}),
        (r'a="\351"', {"a": "\xe9"}),
        (r'a="\303\251"', {"a": "\xe9"}),
        (r'a="\9"', {"a": "9"}),
        (r"a=\054", {"a": r"\054"}),
        ("a=\xc3\xa9", {"a": "\xe9"}),
        ("a=\xe9", {"a": "\xe9"}),
        ("\xc3\xa9=1", {"\xe9": "1"}),
    ],
)
def test_a_cookie_header_is_read(header, cookies):
    assert parse_cookies(header) == cookies


def test_of_two_cookies_with_one_name_the_first_counts():
    assert parse_cookies("a=1; a=2") == {"a": "1"}


@pytest.mark.parametrize("blank", ["\xa0", "\x85", "\x0b", "\x1c"])
def test_only_blanks_of_http_are_taken_off_a_name(blank):
    # Else a script could make a cookie that passes for a __Host- cookie here and for an ordinary one in the browser.
    assert "__Host-session" not in parse_cookies(f"{blank}__Host-session=evil")


async def test_a_request_shows_its_cookies(app, serve):
    @app.get("/")
    async def handler(request):
        cookies = request.cookies
        assert cookies.get("c") is None and cookies.get("c", "none") == "none" and "c" not in cookies
        assert cookies["a"] == cookies.get("a") == "1" and cookies.getlist("a") == ["1"]
        assert cookies.getlist("c") is None and cookies.getlist("c", []) == []
        assert dict(cookies) == {"a": "1", "b": "x y"} and list(cookies.items()) == [("a", "1"), ("b", "x y")]
        return text("read")

    _, body = await ask(await serve(app), b"/", b"Cookie: a=1", b'cookie: b="x y"')
    assert body == b"read"


async def test_a_request_without_cookies_has_none(app, serve):
    @app.get("/")
    async def handler(request):
        return text(len(request.cookies))

    assert (await ask(await serve(app)))[1] == b"0"


# What a response sets


def test_a_plain_cookie_holds_for_the_whole_site():
    assert Cookie("a", "1").encode() == "a=1; Path=/"


def test_every_attribute_is_sent_by_its_own_name():
    cookie = Cookie("a", "1")
    cookie["path"] = "/x"
    cookie["domain"] = "example.com"
    cookie["max-age"] = 60
    cookie["expires"] = datetime(2030, 1, 2, 3, 4, 5)
    cookie["secure"] = True
    cookie["httponly"] = True
    cookie["samesite"] = "strict"
    cookie["partitioned"] = True
    assert cookie.encode() == (
        "a=1; Path=/x; Domain=example.com; Max-Age=60; Expires=Wed, 02 Jan 2030 03:04:05 GMT; "
        "Secure; HttpOnly; SameSite=Strict; Partitioned"
    )


def test_attributes_are_named_in_any_case_and_with_underscores():
    cookie = Cookie("a", "1")
    cookie["Max_Age"] = "5"
    assert cookie["max-age"] == "5"
    assert cookie.encode() == "a=1; Path=/; Max-Age=5"


@pytest.mark.parametrize("value", [None, False])
@pytest.mark.parametrize("name", ["path", "domain", "max-age", "expires", "secure", "httponly", "samesite"])
def test_none_and_false_take_an_attribute_away(name, value):
    cookie = Cookie("a", "1")
    cookie[name] = value
    assert name not in cookie
    assert cookie.encode().startswith("a=1")
    assert name not in cookie.encode().lower()


def test_an_attribute_can_be_deleted_and_an_unset_one_is_missing():
    cookie = Cookie("a", "1")
    del cookie["path"]
    assert cookie.encode() == "a=1"
    with pytest.raises(KeyError):
        cookie["path"]
    assert cookie.get("path") is None


def test_an_unknown_attribute_is_refused():
    with pytest.raises(KeyError, match="colour"):
        Cookie("a", "1")["colour"] = "red"


@pytest.mark.parametrize(
    "when",
    [
        datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        datetime(2030, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2))),
        "Wed, 02 Jan 2030 03:04:05 GMT",
    ],
)
def test_expires_is_told_in_gmt_from_any_time_zone(when):
    cookie = Cookie("a", "1")
    cookie["expires"] = when
    assert cookie.encode() == "a=1; Path=/; Expires=Wed, 02 Jan 2030 03:04:05 GMT"


def test_expires_is_no_number():
    with pytest.raises(TypeError, match="expires"):
        Cookie("a", "1")["expires"] = 60


@pytest.mark.parametrize("value", ["abc", "1; Secure", "1.5", ""])
def test_max_age_is_a_whole_number(value):
    with pytest.raises(ValueError, match=r"invalid literal|max-age"):
        Cookie("a", "1")["max-age"] = value


@pytest.mark.parametrize("value", ["sometimes", "Lax; Secure", True])
def test_samesite_is_one_of_three(value):
    with pytest.raises(ValueError, match="samesite"):
        Cookie("a", "1")["samesite"] = value


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("plain-1.2_~!", "plain-1.2_~!"),
        ("abc/+==", "abc/+=="),
        ("", ""),
        ("a b", '"a b"'),
        ("a,b;c", r'"a\054b\073c"'),
        ('a"b\\', r'"a\"b\\"'),
        ("a\r\nb\x00", r'"a\015\012b\000"'),
        ("\xe9\u20ac", r'"\303\251\342\202\254"'),
        (5, "5"),
    ],
)
def test_what_cannot_stand_in_a_cookie_is_escaped_and_comes_back_as_it_was(value, sent):
    cookie = Cookie("a", value)
    assert cookie.encode() == f"a={sent}; Path=/"
    assert parse_cookies(f"a={sent}") == {"a": str(value)}


@pytest.mark.parametrize(
    "name", ["", "a b", "a;b", "a=b", "a,b", "a\r\nSet-Cookie: b", "a\n", "a\x00", '"a"', "\xe9", "a\tb", None, 5]
)
def test_a_name_that_is_no_token_is_refused(name):
    jar = CookieJar()
    for change in (
        lambda: jar.__setitem__(name, "1"),
        lambda: jar.add_cookie(name, "1"),
        lambda: jar.delete_cookie(name),
        lambda: Cookie(name, "1"),
    ):
        with pytest.raises(ValueError, match="cookie"):
            change()
    assert not jar


@pytest.mark.parametrize("name", ["path", "domain", "expires", "samesite"])
@pytest.mark.parametrize("value", ["/; Secure", "a\r\nX: y", "a\nb", "a\x00", "a;", "\xe9"])
def test_an_attribute_cannot_smuggle_another_one_or_a_field(name, value):
    cookie = Cookie("a", "1")
    for change in (
        lambda: cookie.__setitem__(name, value),
        lambda: cookie.update({name: value}),
        lambda: cookie.setdefault("domain", value) if name == "domain" else cookie.__setitem__(name, value),
    ):
        with pytest.raises(ValueError, match=r"cookie|samesite"):
            change()
    assert cookie.encode() == "a=1; Path=/"


def test_the_jar_refuses_what_a_cookie_refuses_and_keeps_nothing_of_it():
    jar = CookieJar()
    for attributes in ({"path": "/;x"}, {"domain": "a\r\nb"}, {"samesite": "x"}, {"expires": "a;b"}, {"max_age": "x"}):
        with pytest.raises(ValueError, match=r".+"):
            jar.add_cookie("a", "1", **attributes)
    assert not jar


def test_a_jar_is_read_like_a_mapping_of_cookies():
    jar = CookieJar()
    jar["a"] = "1"
    jar["b"] = "2"
    assert list(jar) == ["a", "b"] and len(jar) == 2 and "a" in jar and "c" not in jar
    assert (jar["a"].key, jar["a"].value) == ("a", "1")
    assert jar.get("c") is None
    with pytest.raises(KeyError):
        jar["c"]


def test_setting_a_cookie_again_changes_its_value_and_keeps_its_attributes():
    jar = CookieJar()
    jar["a"] = "1"
    jar["a"]["httponly"] = True
    jar["a"] = "2"
    assert [cookie.encode() for cookie in jar.cookies] == ["a=2; Path=/; HttpOnly"]


def test_the_value_of_a_cookie_can_be_changed():
    cookie = Cookie("a", "1")
    cookie.value = "a b"
    assert (cookie.value, cookie.encode()) == ("a b", 'a="a b"; Path=/')


def test_a_cookie_is_shown_as_it_is_sent_and_lists_its_attributes():
    cookie = Cookie("a", "1")
    cookie["secure"] = True
    assert repr(cookie) == "<Cookie: a=1; Path=/; Secure>"
    assert dict(cookie) == {"path": "/", "secure": True}


def test_add_cookie_is_careful_unless_told_otherwise():
    jar = CookieJar()
    jar.add_cookie("a", "1")
    assert jar["a"].encode() == "a=1; Path=/; Secure; SameSite=Lax"
    jar.add_cookie("b", "1", secure=False, samesite=None, httponly=True, max_age=5, domain="b")
    assert jar["b"].encode() == "b=1; Path=/; Domain=b; Max-Age=5; HttpOnly"


DROPPED = [
    ("__Host-a", {"secure": False}, "needs Secure"),
    ("__Host-a", {"domain": "shop.example"}, "no Domain"),
    ("__host-a", {"path": "/x"}, "needs Path=/"),
    ("__Secure-a", {"secure": False}, "needs Secure"),
    ("a", {"samesite": "none", "secure": False}, "SameSite=None needs Secure"),
    ("a", {"partitioned": True, "secure": False}, "Partitioned needs Secure"),
]


@pytest.mark.parametrize(("name", "attributes", "flaw"), DROPPED)
def test_cookie_that_browsers_drop_is_refused(name, attributes, flaw):
    jar = CookieJar()
    with pytest.raises(ValueError, match=flaw):
        jar.add_cookie(name, "1", **attributes)
    assert not jar


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("__Host-a", {}),
        ("__Secure-a", {"domain": "shop.example", "path": "/x"}),
        ("a", {"samesite": "None", "partitioned": True}),
        ("a", {"secure": False}),
        ("Host-a", {"secure": False, "domain": "shop.example"}),
    ],
)
def test_cookie_that_browsers_keep_is_set(name, attributes):
    assert CookieJar().add_cookie(name, "1", **attributes).flaw is None


@pytest.mark.parametrize(("name", "attributes", "flaw"), DROPPED)
def test_cookie_made_piece_by_piece_that_browsers_drop_is_logged_once(app, caplog, monkeypatch, name, attributes, flaw):
    monkeypatch.setattr(cookies, "_warned", set())

    def handler(request):
        response = text("")
        response.cookies[name] = "1"
        response.cookies[name].update({"secure": True} | attributes)
        return response

    app.get("/")(handler)
    for _ in range(2):
        assert app.test_client.get("/")[1].headers["Set-Cookie"].startswith(f"{name}=1; ")
    [record] = [record for record in caplog.records if record.name == "sanicish.error"]
    assert record.levelname == "WARNING" and name in record.message and flaw in record.message


def test_names_made_up_for_each_request_do_not_fill_the_log(caplog, monkeypatch):
    monkeypatch.setattr(cookies, "_warned", set())
    for number in range(300):
        jar = CookieJar()
        jar[f"__Host-{number}"] = "1"
        list(jar.encoded())
    assert len(caplog.records) == 100


def test_one_name_may_be_set_for_several_paths():
    jar = CookieJar()
    jar.add_cookie("a", "1", path="/")
    jar.add_cookie("a", "2", path="/x")
    jar.add_cookie("a", "3", path="/x")
    assert [(cookie["path"], cookie.value) for cookie in jar.cookies] == [("/", "1"), ("/x", "3")]


def test_a_path_given_later_makes_it_another_cookie():
    jar = CookieJar()
    jar["a"] = "1"
    jar["a"]["path"] = "/x"
    jar.add_cookie("a", "2")
    assert [(cookie["path"], cookie.value) for cookie in jar.cookies] == [("/x", "1"), ("/", "2")]


def test_deleting_tells_the_client_to_forget():
    jar = CookieJar()
    del jar["a"]
    jar.delete_cookie("b", path="/x", domain="c")
    assert [cookie.encode() for cookie in jar.cookies] == [
        "a=; Path=/; Max-Age=0",
        "b=; Path=/x; Domain=c; Max-Age=0",
    ]


def test_deleting_replaces_what_was_to_be_set():
    jar = CookieJar()
    jar["a"] = "1"
    del jar["a"]
    assert [cookie.encode() for cookie in jar.cookies] == ["a=; Path=/; Max-Age=0"]


@pytest.mark.parametrize("name", ["__Host-a", "__Secure-a"])
def test_a_prefixed_cookie_is_deleted_securely(name):
    # A browser ignores such a Set-Cookie without Secure, and the cookie would live on.
    assert CookieJar().delete_cookie(name).encode() == f"{name}=; Path=/; Max-Age=0; Secure"


def test_a_frozen_jar_refuses_every_change():
    jar = CookieJar()
    jar["a"] = "1"
    cookie = jar["a"]
    jar.freeze()
    for change in (
        lambda: jar.__setitem__("a", "2"),
        lambda: jar.__setitem__("b", "2"),
        lambda: jar.__delitem__("a"),
        lambda: jar.add_cookie("c", "1"),
        lambda: jar.delete_cookie("a"),
        lambda: cookie.__setitem__("path", "/x"),
        lambda: cookie.__delitem__("path"),
        lambda: setattr(cookie, "value", "2"),
    ):
        with pytest.raises(RuntimeError, match="has left"):
            change()
    assert [one.encode() for one in jar.cookies] == ["a=1; Path=/"]


# On the wire


async def test_a_response_sets_each_cookie_in_a_field_of_its_own(app, serve):
    @app.get("/")
    async def handler(request):
        response = text("x")
        response.cookies["a"] = "1"
        response.cookies["a"]["httponly"] = True
        response.add_cookie("b", "2", max_age=60)
        response.delete_cookie("c")
        return response

    lines, _ = await ask(await serve(app))
    assert set_cookies(lines) == [
        b"a=1; Path=/; HttpOnly",
        b"b=2; Path=/; Max-Age=60; Secure; SameSite=Lax",
        b"c=; Path=/; Max-Age=0",
    ]


async def test_a_streaming_response_sets_cookies_until_its_head_leaves(app, serve):
    refused = []

    @app.get("/")
    async def handler(request):
        async def streaming(response):
            response.cookies["in"] = "2"
            await response.write("x")
            for late in (
                lambda: response.cookies.__setitem__("late", "3"),
                lambda: response.add_cookie("late", "3"),
                lambda: response.cookies["in"].__setitem__("path", "/late"),
            ):
                try:
                    late()
                except RuntimeError:
                    refused.append(late)

        response = stream(streaming)
        response.cookies["before"] = "1"
        return response

    lines, body = await ask(await serve(app))
    assert set_cookies(lines) == [b"before=1; Path=/", b"in=2; Path=/"]
    assert (body, len(refused)) == (b"1\r\nx\r\n0\r\n\r\n", 3)


async def test_a_stream_without_cookies_refuses_a_late_one_too(app, serve):
    seen = []

    @app.get("/")
    async def handler(request):
        async def streaming(response):
            await response.write("x")
            try:
                response.cookies["late"] = "1"
            except RuntimeError as error:
                seen.append(error)

        return stream(streaming)

    await ask(await serve(app))
    assert len(seen) == 1


async def test_cookies_of_a_response_begun_by_respond_are_sent(app, serve):
    @app.get("/")
    async def handler(request):
        response = await request.respond()
        response.cookies["a"] = "1"
        await response.send("x")

    assert set_cookies((await ask(await serve(app)))[0]) == [b"a=1; Path=/"]


async def test_response_middleware_may_set_cookies_on_a_stream(app, serve):
    @app.middleware("response")
    async def mark(request, response):
        response.cookies["a"] = "1"

    @app.get("/")
    async def handler(request):
        return stream(lambda response: response.write("x"))

    assert set_cookies((await ask(await serve(app)))[0]) == [b"a=1; Path=/"]


async def test_a_response_that_is_sent_twice_sets_its_cookies_once_each_time(app, serve):
    again = text("x")
    again.cookies["a"] = "1"

    @app.get("/")
    async def handler(request):
        return again

    address = await serve(app)
    await ask(address)
    lines, _ = await ask(address)
    assert set_cookies(lines) == [b"a=1; Path=/"]


async def test_a_cookie_that_cannot_be_sent_is_an_ordinary_error(app: Sanic, serve):
    @app.get("/")
    async def handler(request):
        response = text("x")
        response.cookies["a"]["path"] = "/"

    @app.get("/injected")
    async def injected(request):
        response = text("x")
        response.cookies["a\r\nX: y"] = "1"
        return response

    lines, body = await ask(await serve(app), b"/injected")
    assert lines[0] == b"HTTP/1.1 500 Internal Server Error"
    assert b"X: y" not in b"\n".join(lines) + body
