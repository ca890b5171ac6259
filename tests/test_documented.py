"""Every example of Sanic's streaming pages, of 2017 and of 2019 to 2020, as printed there with `sanicish` for `sanic`.

The bytes on the wire are what is asserted.
"""

import asyncio
import os


import asyncpg
import pytest

from tests.doubles.wire import Wire

CHUNKED_TEXT = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"


def without_date(answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Date: ")]
    assert len(lines) == head.count(b"\r\n"), "exactly one Date"
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def text_answer(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (len(body), body)
    )


def chunked_answer(*chunks: bytes, content_type: bytes = b"text/plain; charset=utf-8") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" % content_type
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


async def ask(address, method, path, body=None):
    """One request with ``Connection: close``; every byte of the response but the Date line."""
    head = b"%b %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" % (method, path)
    if body is not None:
        head += b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        head += b"\r\n"
    async with Wire(address) as wire:
        wire.send(head)
        return without_date(await wire.rest())


def page_of_2019():
    from sanicish import Sanic
    from sanicish.views import CompositionView
    from sanicish.views import HTTPMethodView
    from sanicish.views import stream as stream_decorator
    from sanicish.blueprints import Blueprint
    from sanicish.response import stream, text

    bp = Blueprint('blueprint_request_stream')
    app = Sanic(__name__)


    class SimpleView(HTTPMethodView):

        @stream_decorator
        async def post(self, request):
            result = ''
            while True:
                body = await request.stream.read()
                if body is None:
                    break
                result += body.decode('utf-8')
            return text(result)


    @app.post('/stream', stream=True)
    async def handler(request):
        async def streaming(response):
            while True:
                body = await request.stream.read()
                if body is None:
                    break
                body = body.decode('utf-8').replace('1', 'A')
                await response.write(body)
        return stream(streaming)


    @bp.put('/bp_stream', stream=True)
    async def bp_put_handler(request):
        result = ''
        while True:
            body = await request.stream.read()
            if body is None:
                break
            result += body.decode('utf-8').replace('1', 'A')
        return text(result)


    # You can also use `bp.add_route()` with stream argument
    async def bp_post_handler(request):
        result = ''
        while True:
            body = await request.stream.read()
            if body is None:
                break
            result += body.decode('utf-8').replace('1', 'A')
        return text(result)

    bp.add_route(bp_post_handler, '/bp_stream', methods=['POST'], stream=True)


    async def post_handler(request):
        result = ''
        while True:
            body = await request.stream.read()
            if body is None:
                break
            result += body.decode('utf-8')
        return text(result)

    app.blueprint(bp)
    app.add_route(SimpleView.as_view(), '/method_view')
    view = CompositionView()
    view.add(['POST'], post_handler, stream=True)
    app.add_route(view, '/composition_view')

    if __name__ == '__main__':
        app.run(host='127.0.0.1', port=8000)
    return app


def page_of_2017():
    from sanicish import Sanic
    from sanicish.views import CompositionView
    from sanicish.blueprints import Blueprint
    from sanicish.response import stream, text

    bp = Blueprint('blueprint_request_stream')
    app = Sanic('request_stream', is_request_stream=True)


    @app.stream('/stream')
    async def handler(request):
        async def streaming(response):
            while True:
                body = await request.stream.get()
                if body is None:
                    break
                body = body.decode('utf-8').replace('1', 'A')
                response.write(body)
        return stream(streaming)


    @app.get('/get')
    async def get(request):
        return text('OK')


    @bp.stream('/bp_stream')
    async def bp_handler(request):
        result = ''
        while True:
            body = await request.stream.get()
            if body is None:
                break
            result += body.decode('utf-8').replace('1', 'A')
        return text(result)


    async def post_handler(request):
        result = ''
        while True:
            body = await request.stream.get()
            if body is None:
                break
            result += body.decode('utf-8')
        return text(result)


    app.blueprint(bp)
    view = CompositionView()
    view.add(['POST'], post_handler, stream=True)
    app.add_route(view, '/composition_view')

    if __name__ == '__main__':
        app.run(host='127.0.0.1', port=8000)
    return app


async def test_stream_of_2019_answers_chunk_by_chunk(serve):
    address = await serve(page_of_2019())
    assert await ask(address, b"POST", b"/stream", b"1a1b") == chunked_answer(b"AaAb")


async def test_stream_of_2019_reads_and_writes_at_once(serve):
    address = await serve(page_of_2019())
    async with Wire(address) as wire:
        wire.send(b"POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n101\r\n")
        await wire.until(b"3\r\nA0A\r\n")  # the response to the first chunk is here before the second was sent
        wire.send(b"2\r\n21\r\n")
        await wire.until(b"2\r\n2A\r\n")
        wire.send(b"0\r\n\r\n")
        await wire.until(b"0\r\n\r\n")


async def test_method_view_of_2019(serve):
    address = await serve(page_of_2019())
    assert await ask(address, b"POST", b"/method_view", b"1a1b") == text_answer(b"1a1b")


@pytest.mark.parametrize("method", [b"PUT", b"POST"])
async def test_blueprint_of_2019(serve, method):
    address = await serve(page_of_2019())
    assert await ask(address, method, b"/bp_stream", b"1a1b") == text_answer(b"AaAb")


async def test_composition_view_of_2019(serve):
    address = await serve(page_of_2019())
    assert await ask(address, b"POST", b"/composition_view", b"1a1b") == text_answer(b"1a1b")


async def test_stream_of_2017_writes_without_await(serve):
    address = await serve(page_of_2017())
    assert await ask(address, b"POST", b"/stream", b"1a1b") == chunked_answer(b"AaAb")


async def test_plain_route_of_2017(serve):
    address = await serve(page_of_2017())
    assert await ask(address, b"GET", b"/get") == text_answer(b"OK")


async def test_blueprint_of_2017(serve):
    address = await serve(page_of_2017())
    assert await ask(address, b"POST", b"/bp_stream", b"1a1b") == text_answer(b"AaAb")


async def test_composition_view_of_2017(serve):
    address = await serve(page_of_2017())
    assert await ask(address, b"POST", b"/composition_view", b"1a1b") == text_answer(b"1a1b")


def csv_page_of_2019():
    from sanicish import Sanic
    from sanicish.response import stream

    app = Sanic(__name__)

    @app.route("/")
    async def test(request):
        async def sample_streaming_fn(response):
            await response.write('foo,')
            await response.write('bar')

        return stream(sample_streaming_fn, content_type='text/csv')
    return app


async def test_response_streaming_of_2019(serve):
    address = await serve(csv_page_of_2019())
    assert await ask(address, b"GET", b"/") == chunked_answer(b"foo,", b"bar", content_type=b"text/csv")


def csv_page_of_2017():
    from sanicish import Sanic
    from sanicish.response import stream

    app = Sanic(__name__)

    @app.route("/")
    async def test(request):
        async def sample_streaming_fn(response):
            response.write('foo,')
            response.write('bar')
        return stream(sample_streaming_fn, content_type='text/csv')
    return app


async def test_response_streaming_of_2017(serve):
    address = await serve(csv_page_of_2017())
    assert await ask(address, b"GET", b"/") == chunked_answer(b"foo,", b"bar", content_type=b"text/csv")


@pytest.fixture
def asyncpg_finds_test(postgres, monkeypatch):
    """`asyncpg.connect(database='test')`, as both pages print it, reaches the real PostgreSQL of the tests."""
    for name, value in postgres.environment("test").items():
        monkeypatch.setenv(name, value)


def numbers(chunked=False):
    return [str(number).encode() for number in range(11)]


def cursor_page_of_2019():
    from sanicish import Sanic
    from sanicish.response import stream

    app = Sanic(__name__)

    @app.route("/")
    async def index(request):
        async def stream_from_db(response):
            conn = await asyncpg.connect(database='test')
            async with conn.transaction():
                async for record in conn.cursor('SELECT generate_series(0, 10)'):
                    await response.write(record[0])

        return stream(stream_from_db)
    return app


@pytest.mark.filterwarnings("ignore:.*unclosed connection:ResourceWarning")  # the pages never close it
async def test_database_cursor_of_2019(serve, asyncpg_finds_test):
    address = await serve(cursor_page_of_2019())
    assert await ask(address, b"GET", b"/") == chunked_answer(*numbers())


def cursor_page_of_2017():
    from sanicish import Sanic
    from sanicish.response import stream

    app = Sanic(__name__)

    @app.route("/")
    async def index(request):
        async def stream_from_db(response):
            conn = await asyncpg.connect(database='test')
            async with conn.transaction():
                async for record in conn.cursor('SELECT generate_series(0, 10)'):
                    response.write(record[0])

        return stream(stream_from_db)
    return app


@pytest.mark.filterwarnings("ignore:.*unclosed connection:ResourceWarning")
async def test_database_cursor_of_2017(serve, asyncpg_finds_test):
    address = await serve(cursor_page_of_2017())
    answer = await ask(address, b"GET", b"/")
    assert answer == chunked_answer(*numbers())
    assert b"".join(numbers()) == b"012345678910"


def file_page_of_2019(srv_www):
    from aiofiles import os as async_os
    from sanicish import Sanic
    from sanicish.response import file_stream

    app = Sanic(__name__)

    @app.route("/")
    async def index(request):
        file_path = srv_www + "/whatever.png"

        file_stat = await async_os.stat(file_path)
        headers = {"Content-Length": str(file_stat.st_size)}

        return await file_stream(
            file_path,
            headers=headers,
            chunked=False,
        )
    return app


async def test_file_streaming_of_2019(serve, tmp_path):
    content = os.urandom(300_000)
    (tmp_path / "whatever.png").write_bytes(content)
    address = await serve(file_page_of_2019(str(tmp_path)))
    answer = await ask(address, b"GET", b"/")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 300000\r\nConnection: close\r\n\r\n"
    assert answer == head + content


async def test_chunked_false_without_a_length_ends_with_the_connection(serve):
    from sanicish import Sanic
    from sanicish.response import stream

    app = Sanic(__name__)

    @app.route("/")
    async def test(request):
        async def sample_streaming_fn(response):
            await response.write('foo,')
            await response.write('bar')

        return stream(sample_streaming_fn, content_type='text/csv', chunked=False)

    address = await serve(app)
    async with Wire(address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = without_date(await wire.rest())
    assert answer == b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nConnection: close\r\n\r\nfoo,bar"
