"""Templates, streamed: by name and by source, sync and async, with what they know, and without Jinja."""

import asyncio
import sys
import threading

import jinja2
import pytest

from sanicish import Response, request, stream_template, stream_template_string
from sanicish.templates.jinja import AsyncPage, Page
from tests.doubles.wire import Wire


@pytest.fixture
def folder(app, tmp_path):
    """The directory of the application's templates."""
    app.config.TEMPLATING_PATH_TO_TEMPLATES = tmp_path
    return tmp_path


def get(app, path="/a"):
    return app.test_client.get(path, gather_request=False)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def either(app, request):
    """An application whose templates may wait, and one whose may not."""
    app.config.TEMPLATING_ENABLE_ASYNC = request.param
    return app


LIST = "<ul>{% for row in rows %}<li>{{ row }}</li>{% endfor %}</ul>"


def test_template_is_streamed_by_name(either, folder):
    (folder / "list.html").write_text(LIST)
    either.get("/a")(lambda: stream_template("list.html", rows=range(3)))
    answer = get(either)
    assert answer.text == "<ul><li>0</li><li>1</li><li>2</li></ul>"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_template_is_streamed_by_source(either):
    either.get("/a")(lambda: stream_template_string(LIST, rows=[1]))
    answer = get(either)
    assert answer.text == "<ul><li>1</li></ul>"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_template_may_be_awaited(either):
    @either.get("/a")
    async def handler():
        return await stream_template_string("{{ n }}", n=1), 201

    answer = get(either)
    assert (answer.status, answer.text) == (201, "1")


def test_first_template_there_is_of_several(app, folder):
    (folder / "there.html").write_text("there")
    app.get("/a")(lambda: stream_template(["missing.html", "there.html"]))
    assert get(app).text == "there"


def test_template_that_is_missing_is_an_error_page(app, folder, caplog):
    app.get("/a")(lambda: stream_template("missing.html"))
    assert get(app).status == 500
    assert "TemplateNotFound" in caplog.text


def test_text_template_is_plain_and_not_escaped(app, folder):
    (folder / "note.txt").write_text("{{ value }}")
    app.get("/a")(lambda: stream_template("note.txt", value="<b>"))
    answer = get(app)
    assert (answer.headers["Content-Type"], answer.text) == ("text/plain; charset=utf-8", "<b>")


@pytest.mark.parametrize("name", ["page.html", "page.htm", "page.xml", "page.svg", None])
def test_html_and_strings_are_escaped(either, folder, name):
    if name:
        (folder / name).write_text("{{ value }}")
    either.get("/a")(
        lambda: stream_template(name, value="<b>") if name else stream_template_string("{{ value }}", value="<b>")
    )
    assert get(either).text == "&lt;b&gt;"


def test_request_and_app_are_known_in_templates(either):
    either.get("/a", name="here")(
        lambda: stream_template_string(
            "{{ request.args.name }} {{ request.path }} {{ app.name }} {{ url_for('here') }}"
        )
    )
    assert get(either, "/a?name=you").text == "you /a test /a"


def test_context_processors_say_what_templates_know_unless_the_call_does(either):
    either.context_processor(lambda: {"a": 1, "b": 1})
    either.context_processor(lambda: {"b": 2})
    either.get("/a")(lambda: stream_template_string("{{ a }}{{ b }}{{ c }}", c=3))
    either.get("/b")(lambda: stream_template_string("{{ a }}{{ b }}", b=9))
    assert get(either).text == "123"
    assert get(either, "/b").text == "19"


async def test_context_may_be_updated_by_hand_and_awaited(app):
    app.context_processor(lambda: {"a": 1, "b": 1})
    context = {"b": 2}
    await app.update_template_context(context)
    assert context == {"a": 1, "b": 2}


def test_context_processor_is_a_plain_function(app):
    async def later():
        return {}

    with pytest.raises(TypeError, match="plain function"):
        app.context_processor(later)


@pytest.mark.parametrize(("buffer", "pieces"), [(1, 13), (5, 3), (100, 1)])
async def test_pieces_that_are_not_empty_are_joined(either, buffer, pieces):
    page = either.templates.stream(None, LIST, {"rows": [1, 2, 3]}, buffer)
    got = [piece async for piece in page] if isinstance(page, AsyncPage) else list(page)
    assert "".join(got) == "<ul><li>1</li><li>2</li><li>3</li></ul>"
    assert len(got) <= pieces


async def test_piece_leaves_while_the_template_waits(app, serve):
    gate = asyncio.Event()

    async def slow():
        await gate.wait()
        return "two"

    app.config.TEMPLATING_ENABLE_ASYNC = True
    app.get("/a")(lambda: stream_template_string("one{{ slow() }}", slow=slow, buffer=1))
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"one\r\n")
        gate.set()
        await wire.until(b"two\r\n")


def test_sync_template_runs_in_a_thread_with_its_request(app):
    def where():
        return f"{threading.current_thread().name.split('-')[0]} {request.path}"

    app.get("/a")(lambda: stream_template_string("{{ where() }}", where=where))
    assert get(app).text == "sanicish /a"


def test_error_in_a_template_is_an_error_page(either):
    either.get("/a")(lambda: stream_template_string("{{ 1 / 0 }}"))
    assert get(either).status == 500


def test_environment_is_made_once_with_the_options_of_the_application(app):
    app.jinja_options["trim_blocks"] = True
    assert app.jinja_env is app.jinja_env
    assert app.jinja_env.trim_blocks


def test_environment_may_be_ones_own(app):
    app.jinja_env = jinja2.Environment(loader=jinja2.DictLoader({"x.html": "mine"}))
    app.get("/a")(lambda: stream_template("x.html"))
    assert get(app).text == "mine"


def test_stream_of_the_environment_is_a_body_that_is_closed(app):
    closed = []

    def rows():
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(True)

    page = app.jinja_env.from_string("{% for row in rows %}{{ row }}{% endfor %}").stream(rows=rows())
    assert isinstance(page, Page)
    assert Response(page).content_type == "text/html; charset=utf-8"
    assert next(page) == "a"
    page.close()
    del page
    assert closed == [True]


def test_templates_lie_beside_the_module_that_the_application_is_named_after(app, tmp_path, monkeypatch):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "x.html").write_text("beside")
    module = type(sys)("shop")
    module.__file__ = str(tmp_path / "shop.py")
    monkeypatch.setitem(sys.modules, "shop", module)
    app.name = "shop"
    app.get("/a")(lambda: stream_template("x.html"))
    assert get(app).text == "beside"


def test_template_outside_of_a_request_is_refused():
    with pytest.raises(RuntimeError, match="while a request is answered"):
        stream_template("x.html")


def test_without_jinja_the_line_that_installs_it_is_told(app, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "sanicish.templates.jinja")
    with pytest.raises(ImportError, match=r"pip install 'sanicish\[templates\]'"):
        app.jinja_env
