"""The error page of debug mode: what it shows, what it hides, and that nothing on it is ever taken for markup."""

import json
import re

import pytest

from sanicish.debug.masks import Mask
from sanicish.debug.page import error_page
from sanicish.exceptions import SanicException
from sanicish.headers import Headers
from tests.doubles.wire import talk

EVIL = "<script>alert('x')</script>&\""


def failed(exception):
    """The exception, as it comes out of a call."""
    try:
        raise exception
    except BaseException as error:
        return error


def page_of(exception, line="GET /", fields=(), more=""):
    return error_page("500 Internal Server Error", failed(exception), line, fields, more)


def text_of(page):
    return re.sub(r"<[^>]+>", "", page)


def deep(depth):
    return deep(depth - 1) if depth else 1 / 0


def test_page_shows_the_lines_around_with_the_expression_that_failed():
    def share(total, parts):
        return "Größe" and total / parts

    try:
        share(1, 0)
    except ZeroDivisionError as error:
        page = error_page("500 Internal Server Error", error, "GET /share", ())
    assert "return &quot;Größe&quot; and <mark>total / parts</mark>" in page
    assert "def share(total, parts):" in page
    assert "<h1>ZeroDivisionError</h1>" in page and "division by zero" in page and "GET /share" in page


def test_page_opens_the_code_of_the_application_and_folds_that_of_libraries():
    try:
        json.loads("{")
    except ValueError as error:
        page = error_page("500 Internal Server Error", error, "GET /", ())
    opened = re.findall(r'<details class="frame" open><summary>.*?</summary>', page)
    folded = re.findall(r'<details class="frame theirs"><summary>.*?</summary>', page)
    assert len(opened) == 1 and "test_page.py" in opened[0]
    assert "raw_decode" in folded[0]


def test_page_tells_what_an_exception_came_from():
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error
    except ValueError as error:
        page = text_of(error_page("500 Internal Server Error", error, "GET /", ()))
    assert "Caused by KeyError: &#x27;first&#x27;" in page


def test_page_tells_what_was_being_handled():
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")
    except ValueError as error:
        page = text_of(error_page("500 Internal Server Error", error, "GET /", ()))
    assert "While this was handled: KeyError" in page


def test_page_tells_the_members_of_a_group():
    page = text_of(page_of(ExceptionGroup("several", [failed(KeyError("one")), failed(ValueError("other"))])))
    assert "One of the group: KeyError" in page and "One of the group: ValueError: other" in page


def test_page_of_a_recursion_is_no_longer_than_others():
    try:
        deep(500)
    except ZeroDivisionError as error:
        page = error_page("500 Internal Server Error", error, "GET /", ())
    assert page.count("<summary><b>") == 40
    assert "calls before" in page


def test_page_of_code_without_source_says_so():
    try:
        exec(compile("1 / 0", "/nowhere/gone.py", "exec"))
    except ZeroDivisionError as error:
        page = error_page("500 Internal Server Error", error, "GET /", ())
    assert "(no source)" in page


class Odd:
    """Something that cannot say what it is."""

    def __repr__(self):
        raise RuntimeError("no")


def page_of_variables(**values):
    scope = {"__file__": __file__}
    exec(compile(f"def fail({', '.join(values)}): raise ValueError('x')", __file__, "exec"), scope)
    try:
        scope["fail"](**values)
    except ValueError as error:
        return text_of(error_page("500 Internal Server Error", error, "GET /", ()).replace("</dt><dd>", "="))


def test_page_tells_the_variables_of_the_application():
    page = page_of_variables(count=5, name="<b>", module=re, function=text_of)
    assert "count=5" in page and "name=&#x27;&lt;b&gt;&#x27;" in page
    assert "module=" not in page and "function=" not in page


def test_variables_that_let_somebody_in_are_masked():
    page = page_of_variables(password="open-sesame", api_key="open-sesame", session={"id": "open-sesame"})
    assert "open-sesame" not in page and page.count("\u2022" * 8) >= 3


def test_secrets_inside_of_variables_are_masked_too():
    page = page_of_variables(
        headers=Headers({"Authorization": "Bearer open-sesame", "Accept": "x/y"}), config={"password": 5}
    )
    assert "open-sesame" not in page and "x/y" in page
    assert "config={&#x27;password&#x27;: \u2022" in page


@pytest.mark.parametrize("value", [bytes(5_000_000), "x" * 5_000_000, list(range(100_000)), bytearray(5_000_000)])
def test_large_values_are_cut(value):
    assert len(page_of_variables(value=value)) < 10_000


def test_a_value_that_cannot_be_shown_costs_no_page():
    assert "odd=&lt;Odd instance" in page_of_variables(odd=Odd())


def test_page_of_a_syntax_error_shows_its_place():
    try:
        compile("a = = 1", "/their/file.py", "exec")
    except SyntaxError as error:
        page = text_of(error_page("500 Internal Server Error", error, "GET /", ()))
    assert "/their/file.py" in page and "a = = 1" in page


def test_nothing_on_the_page_is_markup():
    page = page_of(ValueError(EVIL), f"GET /{EVIL}", [(EVIL, EVIL)], EVIL)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 5


def test_names_of_exceptions_and_functions_are_no_markup():
    kind = type("<b>Kind", (Exception,), {})
    code = compile("def name(): raise kind()\n", "/<i>file.py", "exec")
    scope = {"kind": kind}
    exec(code, scope)
    scope["name"].__code__ = scope["name"].__code__.replace(co_name="<u>name")
    try:
        scope["name"]()
    except kind as error:
        page = error_page("500 Internal Server Error", error, "GET /", ())
    for evil in ("<b>Kind", "<i>file", "<u>name"):
        assert evil not in page.replace("<b>&lt;", "")


def test_page_runs_no_script_and_loads_nothing():
    page = page_of(ValueError("x"))
    assert "Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"" in page
    assert not re.search(r"\bsrc=|href=|<script|url\(|@import", page)


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Proxy-Authorization",
        "COOKIE",
        "x-api-key",
        "x-auth-token",
        "x-csrf",
        "session-id",
        "api_key",
        "DSN",
    ],
)
def test_what_lets_somebody_in_is_masked(name):
    assert Mask().fields([(name, "secret"), ("accept", "*/*")]) == [(name, "\u2022" * 8), ("accept", "*/*")]


# As it is answered


@pytest.fixture
async def broken(app, serve):
    """An application that fails; gives how to ask it in debug mode or not."""

    @app.get("/")
    async def fail(request):
        raise ValueError("inner secret")

    @app.get("/known")
    async def known(request):
        raise SanicException("told", 500, context={"colour": "<red>"})

    async def ask(accept, path="/", debug=True):
        fields = f"Host: a\r\nAccept: {accept}\r\nCookie: id=open-sesame\r\nX-Evil: <b>\r\nConnection: close\r\n\r\n"
        return (await talk(await serve(app, debug=debug), f"GET {path} HTTP/1.1\r\n{fields}".encode())).decode()

    return ask


FORMS = ["text/html", "application/json", "text/plain"]

SESAME = "open-sesame"
LETS_IN = (
    b"GET /?key=open-sesame-key HTTP/1.1\r\nHost: a\r\nAccept: %b\r\nCookie: id=open-sesame-cookie\r\n"
    b"Authorization: Bearer open-sesame-token\r\nReferer: http://a/?sig=open-sesame-sig\r\nConnection: close\r\n\r\n"
)


@pytest.mark.parametrize("accept", FORMS)
async def test_debug_tells_source_and_request_but_no_secrets(broken, accept):
    answer = await broken(accept, "/?q=1")
    assert answer.startswith("HTTP/1.1 500 ") and f"Content-Type: {accept}" in answer
    for told in ("inner secret", "ValueError", "test_page.py", "GET /?q=1", "x-evil"):
        assert told in answer
    assert "open-sesame" not in answer


@pytest.mark.parametrize("accept", FORMS)
async def test_credentials_of_the_request_are_nowhere_on_the_page(app, serve, accept):
    @app.get("/")
    async def fail(request):
        raw, token, sent, line = request.raw_headers, request.token, dict(request.cookies), request.url
        for name, value in raw:
            if name == b"authorization":
                raise ValueError(f"nobody has {value.decode()}, see {line}", raw, token, sent)

    answer = (await talk(await serve(app, debug=True), LETS_IN % accept.encode())).decode()
    assert answer.startswith("HTTP/1.1 500 ") and "nobody has" in answer
    assert SESAME not in answer


@pytest.mark.parametrize("accept", FORMS)
async def test_nothing_is_told_outside_of_debug_mode(broken, accept):
    answer = await broken(accept, debug=False)
    assert answer.startswith("HTTP/1.1 500 ") and f"Content-Type: {accept}" in answer
    for told in ("inner secret", "ValueError", "Traceback", "test_page", "open-sesame", "x-evil"):
        assert told not in answer


async def test_debug_page_tells_the_context_of_an_exception(broken):
    answer = await broken("text/html", "/known")
    assert "colour: &lt;red&gt;" in answer
