"""Every example of the pages in test_documented.py and test_documented_generators.py, under the servers of others."""

import os
from datetime import datetime

import pytest

from tests.asgi.servers import each_server, served
from tests.test_documented import (
    asyncpg_finds_test,
    csv_page_of_2017,
    csv_page_of_2019,
    cursor_page_of_2017,
    cursor_page_of_2019,
    file_page_of_2019,
    page_of_2017,
    page_of_2019,
)
from tests.test_documented_generators import (
    flask_context,
    flask_csv,
    flask_decorator,
    flask_template,
    flask_without_context,
    old_flask_context,
    old_flask_csv,
    old_flask_template,
    quart_bytes,
    quart_bytes_corrected,
    quart_timeout,
    quart_with_context,
    quart_with_context_corrected,
)

__all__ = ["asyncpg_finds_test"]  # a fixture

pytestmark = pytest.mark.slow


@pytest.fixture
def path(tmp_path):
    return tmp_path / "socket"


async def ask(kind, app, path, method, target, body=None):
    async def pieces():
        yield body

    async with served(kind, app, path) as there, there.client() as client:
        return await client.request(method, target, content=None if body is None else pieces())


@each_server()
@pytest.mark.parametrize(
    ("method", "target", "answer"),
    [
        ("POST", "/stream", "AaAb"),
        ("POST", "/method_view", "1a1b"),
        ("PUT", "/bp_stream", "AaAb"),
        ("POST", "/bp_stream", "AaAb"),
        ("POST", "/composition_view", "1a1b"),
    ],
)
async def test_request_streaming_of_2019(path, kind, method, target, answer):
    assert (await ask(kind, page_of_2019(), path, method, target, b"1a1b")).text == answer


@each_server()
@pytest.mark.parametrize(
    ("method", "target", "answer"),
    [
        ("POST", "/stream", "AaAb"),
        ("GET", "/get", "OK"),
        ("POST", "/bp_stream", "AaAb"),
        ("POST", "/composition_view", "1a1b"),
    ],
)
async def test_request_streaming_of_2017(path, kind, method, target, answer):
    body = b"1a1b" if method == "POST" else None
    assert (await ask(kind, page_of_2017(), path, method, target, body)).text == answer


@each_server()
@pytest.mark.parametrize("page", [csv_page_of_2019, csv_page_of_2017])
async def test_response_streaming(path, kind, page):
    answer = await ask(kind, page(), path, "GET", "/")
    assert (answer.text, answer.headers["content-type"]) == ("foo,bar", "text/csv")


@pytest.mark.filterwarnings("ignore:.*unclosed connection:ResourceWarning")  # the pages never close it
@each_server()
@pytest.mark.parametrize("page", [cursor_page_of_2019, cursor_page_of_2017])
async def test_database_cursors(path, kind, page, asyncpg_finds_test):
    assert (await ask(kind, page(), path, "GET", "/")).text == "012345678910"


@each_server()
async def test_file_streaming_of_2019(path, kind, tmp_path):
    content = os.urandom(300_000)
    (tmp_path / "whatever.png").write_bytes(content)
    answer = await ask(kind, file_page_of_2019(str(tmp_path)), path, "GET", "/")
    assert answer.content == content
    assert (answer.headers["content-length"], answer.headers["content-type"]) == ("300000", "image/png")


@each_server()
@pytest.mark.parametrize("page", [quart_bytes, quart_with_context])
async def test_quart_pages_as_printed(app, path, kind, page):
    page(app)
    assert (await ask(kind, app, path, "GET", "/")).status_code == 500


@each_server()
@pytest.mark.parametrize("page", [quart_bytes_corrected, quart_with_context_corrected])
async def test_quart_pages_stream_the_time(app, path, kind, page):
    page(app)
    async with served(kind, app, path) as there, there.client() as client, client.stream("GET", "/") as answer:
        assert answer.headers["x-something"] == "value"
        text = ""
        async for piece in answer.aiter_text():
            text += piece
            if len(text) > 100:
                break
    datetime.fromisoformat(text[:26])


@each_server()
async def test_quart_page_without_a_timeout(app, path, kind):
    quart_timeout(app)
    assert (await ask(kind, app, path, "GET", "/sse")).text == "data: one\n\ndata: two\n\n"


@each_server()
@pytest.mark.parametrize("page", [flask_csv, old_flask_csv])
async def test_flask_pages_generate_csv(app, path, kind, page):
    page(app)
    assert (await ask(kind, app, path, "GET", "/large.csv")).text == "a,1\nb,2\n"


@each_server()
async def test_flask_page_streams_a_template(app, path, kind, tmp_path):
    (tmp_path / "timeline.html").write_text("<p>{{ request.path }}</p>")
    app.config.TEMPLATING_PATH_TO_TEMPLATES = tmp_path
    flask_template(app)
    assert (await ask(kind, app, path, "GET", "/timeline")).text == "<p>/timeline</p>"


@each_server()
async def test_old_flask_page_streams_a_template(app, path, kind, tmp_path):
    (tmp_path / "the_template.html").write_text("{% for name, n in rows %}{{ name }}={{ n }};{% endfor %}.")
    app.config.TEMPLATING_PATH_TO_TEMPLATES = tmp_path
    old_flask_template(app)
    assert (await ask(kind, app, path, "GET", "/my-large-page.html")).text == "a=1;b=2;."


@each_server()
@pytest.mark.parametrize("page", [flask_context, flask_decorator, flask_without_context])
async def test_flask_pages_stream_with_their_request(app, path, kind, page):
    page(app)
    assert (await ask(kind, app, path, "GET", "/stream?name=%3Cb%3E")).text == "<p>Hello &lt;b&gt;!</p>"


@each_server()
async def test_old_flask_page_streams_with_its_request(app, path, kind):
    old_flask_context(app)
    assert (await ask(kind, app, path, "GET", "/stream?name=x")).text == "Hello x!"
