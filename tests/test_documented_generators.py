"""Every example of Flask's and Quart's pages on streaming, as printed there with `sanicish` for `flask` and `quart`.

Where the print has a bug, it fails clearly as it is printed, and works when it is corrected.
"""

import asyncio
from datetime import datetime

import pytest

from tests.doubles.wire import Wire
from tests.test_documented import ask, chunked_answer, without_date


# Quart: streaming responses


def quart_bytes(app):
    @app.route('/')
    async def stream_time():
        async def async_generator():
            time = datetime.isoformat()
            yield time.encode()

        return async_generator(), 200, {'X-Something': 'value'}


def quart_with_context(app):
    from sanicish.helpers import stream_with_context

    @app.route('/')
    async def stream_time():
        @stream_with_context
        async def async_generator():
            time = datetime.isoformat()
            yield time.encode()

        return async_generator(), 200, {'X-Something': 'value'}


@pytest.mark.parametrize("page", [quart_bytes, quart_with_context])
async def test_quart_page_as_printed_is_a_500_before_the_first_byte(app, serve, caplog, page):
    """`datetime.isoformat` is a method of a moment, and there is none."""
    page(app)
    answer = await ask(await serve(app), b"GET", b"/")
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"X-Something" not in answer
    assert "TypeError: unbound method datetime.isoformat() needs an argument" in caplog.text


def quart_bytes_corrected(app):
    @app.route('/')
    async def stream_time():
        async def async_generator():
            while True:
                time = datetime.now().isoformat()
                yield time.encode()
                await asyncio.sleep(0.001)

        return async_generator(), 200, {'X-Something': 'value'}


def quart_with_context_corrected(app):
    from sanicish import request
    from sanicish.helpers import stream_with_context

    @app.route('/')
    async def stream_time():
        @stream_with_context
        async def async_generator():
            while request.path == '/':
                time = datetime.now().isoformat()
                yield time.encode()
                await asyncio.sleep(0.001)

        return async_generator(), 200, {'X-Something': 'value'}


@pytest.mark.parametrize("page", [quart_bytes_corrected, quart_with_context_corrected])
async def test_quart_page_streams_the_time(app, serve, page):
    page(app)
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = without_date(await wire.until(b"\r\n\r\n"))
        assert head == (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"X-Something: value\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(3):
            size = int(await wire.until(b"\r\n"), 16)
            datetime.fromisoformat((await wire.exactly(size)).decode())
            await wire.until(b"\r\n")


def quart_timeout(app):
    from sanicish import make_response

    async def async_generator():
        await asyncio.sleep(0.11)
        yield b'data: one\n\n'
        await asyncio.sleep(0.11)
        yield b'data: two\n\n'

    @app.route('/sse')
    async def stream_time():
        ...
        response = await make_response(async_generator())
        response.timeout = None  # No timeout for this route
        return response


async def test_quart_page_switches_the_timeout_of_a_response_off(app, serve):
    app.config.update(RESPONSE_TIMEOUT=0.1, STREAM_IDLE_TIMEOUT=0.1)
    quart_timeout(app)
    answer = await ask(await serve(app), b"GET", b"/sse")
    assert answer == chunked_answer(b"data: one\n\n", b"data: two\n\n")


async def test_quart_page_tests_a_stream(app):
    """The page leaves the path out."""
    quart_bytes_corrected(app)

    async def test_stream() -> None:
        test_client = app.test_client()
        async with test_client.request('/') as connection:
            data = await connection.receive()
            assert data
            ...
            assert connection.status_code == 200
            ...
            await connection.disconnect()  # For infinite streams

    await test_stream()


async def test_quart_page_collects_a_stream(app):
    quart_timeout(app)
    test_client = app.test_client()
    response = await test_client.get('/sse')
    assert await response.get_data() == b'data: one\n\ndata: two\n\n'


# Flask: streaming contents, 3.2


def iter_all_rows():
    yield ["a", "1"]
    yield ["b", "2"]


def flask_csv(app):
    @app.route('/large.csv')
    def generate_large_csv():
        def generate():
            for row in iter_all_rows():
                yield f"{','.join(row)}\n"
        return generate(), {"Content-Type": "text/csv"}


async def test_flask_page_generates_csv(app, serve):
    flask_csv(app)
    answer = await ask(await serve(app), b"GET", b"/large.csv")
    assert answer == chunked_answer(b"a,1\n", b"b,2\n", content_type=b"text/csv")


async def test_flask_page_on_csv_is_cut_by_a_cell_that_is_no_text(app, serve, monkeypatch):
    """As printed, only text can be joined; `csv()` takes any cell."""
    def iter_all_rows():
        yield ["a", "1"]
        yield ["b", 2]

    monkeypatch.setitem(globals(), "iter_all_rows", iter_all_rows)
    flask_csv(app)
    answer = await ask(await serve(app), b"GET", b"/large.csv")
    assert answer.endswith(b"4\r\na,1\n\r\n")


async def test_flask_page_on_csv_with_the_rows_quoted(app, serve):
    from sanicish import csv

    @app.route('/large.csv')
    def generate_large_csv():
        return csv([["a", 1], ["b,c", None]])

    answer = await ask(await serve(app), b"GET", b"/large.csv")
    expected = chunked_answer(b'a,1\r\n"b,c",\r\n', content_type=b"text/csv; charset=utf-8")
    assert answer == expected.replace(b"\r\nTransfer", b"\r\nX-Accel-Buffering: no\r\nTransfer", 1)


def flask_template(app):
    from sanicish import stream_template

    @app.get("/timeline")
    def timeline():
        return stream_template("timeline.html")


async def test_flask_page_streams_a_template(app, serve, tmp_path):
    (tmp_path / "timeline.html").write_text("<p>{{ request.path }}</p>")
    app.config.TEMPLATING_PATH_TO_TEMPLATES = tmp_path
    flask_template(app)
    answer = await ask(await serve(app), b"GET", b"/timeline")
    assert answer == chunked_answer(b"<p>/timeline</p>", content_type=b"text/html; charset=utf-8")


def flask_context(app):
    from sanicish import stream_with_context, request
    from markupsafe import escape

    @app.route('/stream')
    def streamed_response():
        def generate():
            yield '<p>Hello '
            yield escape(request.args['name'])
            yield '!</p>'
        return stream_with_context(generate())


def flask_decorator(app):
    from sanicish import stream_with_context, request
    from markupsafe import escape

    @app.route('/stream')
    def streamed_response():
        @stream_with_context
        def generate():
            yield '<p>Hello '
            yield escape(request.args['name'])
            yield '!</p>'

        return generate()


def flask_without_context(app):
    from sanicish import request
    from markupsafe import escape

    @app.route('/stream')
    def streamed_response():
        def generate():
            yield '<p>Hello '
            yield escape(request.args['name'])
            yield '!</p>'
        return generate()


@pytest.mark.parametrize("page", [flask_context, flask_decorator, flask_without_context])
async def test_flask_page_streams_with_its_request(app, serve, page):
    page(app)
    answer = await ask(await serve(app), b"GET", b"/stream?name=%3Cb%3E")
    assert answer == chunked_answer(b"<p>Hello ", b"&lt;b&gt;", b"!</p>")


@pytest.mark.parametrize("page", [flask_context, flask_decorator])
async def test_flask_page_is_cut_when_the_name_is_missing(app, serve, page):
    """The response has begun when the generator finds that out: what may be missing is looked up before."""
    page(app)
    answer = await ask(await serve(app), b"GET", b"/stream")
    assert answer.endswith(b"9\r\n<p>Hello \r\n")


async def test_flask_page_that_looks_before_it_streams_is_a_400(app, serve):
    from sanicish import request

    @app.route('/stream')
    def streamed_response():
        name = request.args['name']

        def generate():
            yield '<p>Hello '
            yield name
        return generate()

    answer = await ask(await serve(app), b"GET", b"/stream")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


# Flask: streaming contents, first years


def old_flask_csv(app):
    from sanicish import Response

    @app.route('/large.csv')
    def generate_large_csv():
        def generate():
            for row in iter_all_rows():
                yield ','.join(row) + '\n'
        return Response(generate(), mimetype='text/csv')


async def test_old_flask_page_generates_csv(app, serve):
    old_flask_csv(app)
    answer = await ask(await serve(app), b"GET", b"/large.csv")
    assert answer == chunked_answer(b"a,1\n", b"b,2\n", content_type=b"text/csv; charset=utf-8")


def old_flask_template(app):
    from sanicish import Response

    def stream_template(template_name, **context):
        app.update_template_context(context)
        t = app.jinja_env.get_template(template_name)
        rv = t.stream(context)
        rv.enable_buffering(5)
        return rv

    @app.route('/my-large-page.html')
    def render_large_template():
        rows = iter_all_rows()
        return Response(stream_template('the_template.html', rows=rows))


async def test_old_flask_page_streams_a_template(app, serve, tmp_path):
    (tmp_path / "the_template.html").write_text("{% for name, n in rows %}{{ name }}={{ n }}{{ end }}{% endfor %}.")
    app.config.TEMPLATING_PATH_TO_TEMPLATES = tmp_path
    app.context_processor(lambda: {"end": ";"})
    old_flask_template(app)
    answer = await ask(await serve(app), b"GET", b"/my-large-page.html")
    assert answer == chunked_answer(b"a=1;b", b"=2;.", content_type=b"text/html; charset=utf-8")


def old_flask_context(app):
    from sanicish import stream_with_context, request, Response

    @app.route('/stream')
    def streamed_response():
        def generate():
            yield 'Hello '
            yield request.args['name']
            yield '!'
        return Response(stream_with_context(generate()))


async def test_old_flask_page_streams_with_its_request(app, serve):
    """It is plain text here, so that what it does not escape is not run by a browser."""
    old_flask_context(app)
    answer = await ask(await serve(app), b"GET", b"/stream?name=x")
    assert answer == chunked_answer(b"Hello ", b"x", b"!")


# Imports


def test_request_is_the_proxy_and_its_module_the_module():
    import sanicish
    import sanicish.request
    from sanicish import request
    from sanicish.request import Request

    assert request is sanicish.request
    assert sanicish.request.Request is Request is sanicish.Request


@pytest.mark.parametrize(
    "lines",
    [
        "from sanicish import request; from sanicish.request import Request",
        "from sanicish.request import Request; from sanicish import request",
        "import sanicish.request; from sanicish.request import Request; from sanicish import request",
        "from sanicish.app import Sanic; from sanicish.request import Request; from sanicish import request",
    ],
)
def test_request_and_its_class_may_be_imported_in_any_order(lines):
    import subprocess
    import sys

    code = f"{lines}; assert Request.__name__ == 'Request'; assert repr(request) == '<no request>', request"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


# Testing, as Quart's page has it


async def test_the_test_of_a_stream_runs_with_a_path():
    from sanicish import Sanic

    app = Sanic('tested', register=False)

    @app.route('/')
    async def stream_time():
        async def async_generator():
            while True:
                time = datetime.now().isoformat()
                yield time.encode()
                await asyncio.sleep(0.001)
        return async_generator(), 200, {'X-Something': 'value'}

    async def test_stream() -> None:
        test_client = app.test_client()
        async with test_client.request('/') as connection:
            data = await connection.receive()
            assert data
            ...
            assert connection.status_code == 200
            ...
            await connection.disconnect()  # For infinite streams

    await test_stream()
