"""`sanicish port`: what it finds in programs, what it mends, and what it leaves as it is."""

import ast
import json
import re
import resource
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

from sanicish.command.cli import main
from sanicish.porting import read
from sanicish.porting.findings import apply

ROOT = Path(__file__).parent.parent


def source(text):
    return textwrap.dedent(text).lstrip("\n")


def said(text):
    """Each finding as line, kind and rule."""
    return [(one.line, one.kind, one.rule) for one in read(source(text))]


def advice(text):
    return [one.advice for one in read(source(text))]


def fixed(text):
    text = source(text)
    while edits := [edit for one in read(text) for edit in one.edits]:
        text = apply(text.encode(), edits).decode()
    return text


def rules(text):
    """The rules that found something, beside the one of imports."""
    return [one.rule for one in read(source(text)) if one.rule != "import"]


# Imports


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from sanic import Sanic", "from sanicish import Sanic"),
        ("from sanic import Sanic as S, response", "from sanicish import Sanic as S, response"),
        ("from sanic.response import stream, text", "from sanicish.response import stream, text"),
        (
            "from sanic.views import (\n    CompositionView,  # old\n)",
            "from sanicish.views import (\n    CompositionView,  # old\n)",
        ),
        ("from sanic import NotFound", "from sanicish.exceptions import NotFound"),
        ("from sanic.request.types import Request", "from sanicish.request import Request"),
        ("import sanic\n\nsanic.response.text('')", "import sanicish\n\nsanicish.response.text('')"),
        ("import sanic.response as answers", "import sanicish.response as answers"),
        ("from flask import Flask, request", "from sanicish import Sanic as Flask, request"),
        ("from flask.helpers import stream_with_context", "from sanicish import stream_with_context"),
        (
            "from quart import Quart, abort",
            "from sanicish import Sanic as Quart\nfrom sanicish.exceptions import abort",
        ),
        ("from werkzeug.exceptions import NotFound", "from sanicish.exceptions import NotFound"),
        ("from flask import jsonify\n\njsonify({})", "from sanicish import json as jsonify\n\njsonify({})"),
    ],
)
def test_a_name_that_is_here_is_imported_from_here(before, after):
    assert fixed(before) == after


def test_what_is_not_here_stays_and_the_rest_moves():
    text = "if True:\n    from flask import (\n        Flask,\n        session,\n    )\nsession"
    assert fixed(text) == "if True:\n    from sanicish import Sanic as Flask\n    from flask import session\nsession"


def test_statements_on_one_line_stay_on_one_line():
    assert fixed("a = session; from flask import Flask, session") == (
        "a = session; from sanicish import Sanic as Flask; from flask import session"
    )


def test_names_with_comments_are_left_to_hands():
    text = "from flask import (\n    Flask,  # the class\n    session,\n)\n"
    assert fixed(text) == text
    assert said(text) == [(1, "change", "import"), (3, "change", "import")]


def test_a_name_that_is_not_here_is_told_with_what_stands_in_its_place():
    assert advice("from flask import current_app\ncurrent_app") == ["request.app"]
    assert advice("from sanic.touchup import TouchUp\nTouchUp") == ["nothing here has the name TouchUp"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from flask import Flask, g", "from sanicish import Sanic as Flask"),
        ("import os\nfrom flask import g\nos.sep", "import os\nos.sep"),
        ("from flask import g, session\nsession", "from flask import session\nsession"),
        ("from flask import g\n__all__ = ['g']", "from flask import g\n__all__ = ['g']"),
        ("if True:\n    from flask import g", "if True:\n    from flask import g"),
    ],
)
def test_a_name_that_is_not_here_and_nobody_uses_is_left_out(before, after):
    assert fixed(before) == after


@pytest.mark.parametrize("use", ["return {}('a')", "return await {}('a', b=1)", "return {}('a'), 404"])
def test_a_page_that_is_returned_may_be_streamed(use):
    text = f"from quart import render_template\nasync def view():\n    {use.format('render_template')}\n"
    assert fixed(text).startswith("from sanicish import stream_template as render_template\n")


@pytest.mark.parametrize("use", ["page = {}('a')", "return {}('a') + 'b'", "return send({}('a'))", "return {}"])
def test_a_page_that_is_used_as_text_is_left_to_hands(use):
    text = f"from flask import render_template\ndef view():\n    {use.format('render_template')}\n"
    assert fixed(text) == text


def test_a_name_that_sanic_took_out_is_told():
    assert advice("from sanic.views import CompositionView") == [
        "from sanicish.views import CompositionView (Sanic took it out in 21.12)"
    ]


def test_extensions_need_what_they_extend():
    assert said("from sanic_ext import Extend\nimport flask_login") == [
        (1, "change", "import"),
        (2, "change", "import"),
    ]


def test_a_program_that_goes_on_without_an_import_need_not_change():
    assert said("try:\n    from sanic.worker import Worker\nexcept ImportError:\n    pass") == [(2, "look", "import")]


def test_modules_of_the_program_itself_are_no_extensions():
    assert read("from sanic_shop import stock", own={"sanic_shop"}) == []


def test_a_module_that_is_here_may_lack_a_name():
    text = "from sanic import helpers, response\nhelpers.import_string('a')\nresponse.text('')\n"
    assert said(text) == [(1, "fix", "import"), (2, "change", "import")]


def test_a_star_cannot_be_looked_up():
    assert said("from sanic.response import *") == [(1, "change", "import")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a=1, b=[2]", '{"a": 1, "b": [2]}'),
        ("**found", "{**found}"),
        ("a=1, **found", '{"a": 1, **found}'),
        ("1, 2", "[1, 2]"),
        ("", "{}"),
    ],
)
def test_a_jsonify_of_several_values_is_given_one(before, after):
    text = f"from flask import jsonify\njsonify({before})"
    assert fixed(text) == f"from sanicish import json as jsonify\njsonify({after})"


def test_addresses_are_asked_of_the_application():
    text = "from flask import request, url_for\ndef view():\n    return url_for('a')\n"
    assert fixed(text) == "from sanicish import request\ndef view():\n    return request.app.url_for('a')\n"


def test_other_programs_are_let_alone():
    program = """
        import requests
        from aiohttp import web

        async def flask(request, response):
            response.write(request.stream.read())
            request.user = request.data
    """
    assert read(source(program)) == []


# Streams


def test_a_write_in_a_streaming_function_is_awaited():
    text = """
        from sanicish.response import stream

        async def handler(request):
            async def rows(r):
                r.write("a")
                if request:
                    r.write("b"); await r.write("c")
            return stream(rows)
    """
    assert said(text) == [(5, "fix", "unawaited-write"), (7, "fix", "unawaited-write")]
    assert '        await r.write("a")\n' in fixed(text)
    assert '            await r.write("b"); await r.write("c")\n' in fixed(text)


def test_what_respond_gives_is_awaited_too():
    text = """
        import sanicish

        async def handler(request):
            response = await request.respond()
            response.send("a")
    """
    assert 'await response.send("a")' in fixed(text)


def test_a_plain_function_cannot_await():
    text = """
        from sanicish.response import stream

        async def handler(request):
            async def rows(response):
                def row(cells):
                    response.write(cells)
                row("a")
            return stream(rows)
    """
    assert said(text) == [(6, "look", "unawaited-write")]


def test_a_file_is_written_as_before():
    text = """
        from sanicish.response import text

        async def handler(request):
            with open("a", "w") as out:
                out.write("a")
    """
    assert said(text) == []


def test_a_csv_writer_cannot_await():
    text = """
        import csv
        from sanicish.response import stream

        async def rows(response):
            csv.writer(response).writerow([1])

        async def handler(request):
            return stream(rows)
    """
    assert said(text) == [(5, "look", "unawaited-write")]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ('stream(fn, headers={"Content-Length": "3"})', ["dropped this length"]),
        ('stream(fn, headers={"content-length": "3"}, chunked=True)', ["chunked=True drops"]),
        ("StreamingHTTPResponse(fn, chunked=False)", ["when the connection does"]),
        ('stream(fn, headers={"Content-Length": "3"}, chunked=False)', []),
        ("file_stream(path, chunked=False)", []),
        ("stream(fn, chunked=True)", []),
    ],
)
def test_lengths_of_streams_are_looked_at(call, words):
    found = advice(f"from sanicish.response import StreamingHTTPResponse, file_stream, stream\n{call}\n")
    assert len(found) == len(words) and all(word in one for word, one in zip(words, found, strict=True))


def test_flasks_stream_is_read_without_await():
    assert rules("from flask import request\ndef view():\n    data = request.stream.read(10)") == ["unawaited-read"]


def test_a_stream_that_is_awaited_is_read_as_before():
    assert (
        rules("import sanic\nasync def f(request):\n    data = await request.stream.read()\n    await save(data)") == []
    )


@pytest.mark.parametrize("reading", ["piece = await request.stream.read()", "async for piece in request.stream: pass"])
def test_a_character_may_lie_in_two_pieces(reading):
    text = f"import sanicish\nasync def f(request):\n    {reading}\n    return piece.decode()\n"
    assert said(text) == [(4, "look", "split-character")]


@pytest.mark.parametrize(
    "row",
    [
        'f"{a},{b}\\n"',
        "f\"{','.join(row)}\\n\"",
        '",".join(row) + "\\n"',
        '"{},{}\\n".format(a, b)',
        '"%s;%s\\n" % (a, b)',
    ],
)
def test_rows_are_not_quoted_by_hand(row):
    assert rules(f"import sanicish\ndef rows():\n    yield {row}\n") == ["unquoted-csv"]


@pytest.mark.parametrize("text", ['f"{a}\\n"', 'f"Hello, {a}\\n"', '"a,b\\n"', "f'{a}, {b}'"])
def test_sentences_are_no_rows(text):
    assert rules(f"import sanicish\ndef rows():\n    yield {text}\n") == []


# Requests, applications, responses


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("await request.form", "request.form"),
        ("(await request.files)['a']", "(request.files)['a']"),
        ("await request.get_json()", "request.json"),
        ("request.get_json()", "request.json"),
        ("await request.get_data()", "request.body"),
        ("request.data", "request.body"),
        ("await request.body", "request.body"),
    ],
)
def test_what_is_there_at_once_is_not_awaited(before, after):
    text = "from sanicish import request\nasync def view():\n    found = {}\n"
    assert fixed(text.format(before)) == text.format(after)


def test_what_a_request_has_not_is_told():
    assert advice("from sanicish import request\nrequest.get_json(force=True)\nrequest.values") == [
        "request.json, which raises BadRequest (400) for what is no JSON",
        "request.args or request.form",
    ]


def test_a_request_has_no_room_for_attributes():
    text = "import sanicish\nasync def check(request):\n    request.user = 1\n    request.ctx.user = 1\n"
    assert said(text) == [(3, "change", "request")]


def test_the_request_of_pytest_is_another_one():
    text = "import pytest\nimport sanicish\n@pytest.fixture\ndef place(request):\n    request.values\n    request.cls.x = 1\n"
    assert said(text) == []


def test_quarts_body_is_iterated_as_the_stream():
    text = "from sanicish import request\nasync def view():\n    async for data in request.body: pass\n"
    assert said(text) == [(3, "change", "request")]


def test_hooks_of_flask_are_told():
    text = "from sanicish import Sanic\nshop = Sanic('shop')\nshop.register_error_handler(404, print)\n"
    assert said(text) == [(3, "change", "application")]


def test_arguments_that_run_does_not_take_are_told():
    assert said("import sanicish\napp.run(port=1, ssl_context=a)") == [(2, "change", "application")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("threaded=True", ""),
        ("port=1, threaded=True, debug=True", "port=1, debug=True"),
        ("threaded=True, port=1", "port=1"),
        ("threaded=True, use_reloader=False, port=1", "port=1"),
        ("port=1, threaded=True, use_reloader=False", "port=1"),
    ],
)
def test_arguments_that_only_say_how_flasks_server_works_are_left_out(before, after):
    assert fixed(f"import sanicish\napp.run({before})") == f"import sanicish\napp.run({after})"


def test_the_name_of_a_module_is_no_prefix():
    text = 'from sanicish import Blueprint\nbp = Blueprint("a", __name__, url_prefix="/a")'
    assert fixed(text) == 'from sanicish import Blueprint\nbp = Blueprint("a", url_prefix="/a")'


@pytest.mark.parametrize("call", ['redirect("/", code=301)', 'redirect("/", 301)'])
def test_the_status_of_a_redirect_is_named(call):
    assert fixed(f"from flask import redirect\n{call}").endswith('redirect("/", status=301)')


def test_cookies_of_flask_are_told():
    assert rules("import flask\ndef f(response):\n    response.set_cookie('a', 'b')") == ["response"]
    assert rules("import flask\ndef f(response):\n    response.headers.set('a', 'b', c='d')") == ["response"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("@app.before_request\ndef a(): pass", "@app.on_request\ndef a(_): pass"),
        ("@app.after_request\ndef a(response): pass", "@app.on_response\ndef a(_, response): pass"),
        ("@app.before_serving\nasync def a(): pass", "@app.before_server_start\nasync def a(_): pass"),
        ("@app.errorhandler(Lost)\ndef a(error): pass", "@app.exception(Lost)\ndef a(_, error): pass"),
        ("@app.errorhandler(404)\ndef a(error): pass", "@app.exception(NotFound)\ndef a(_, error): pass"),
    ],
)
def test_hooks_are_given_the_request(before, after):
    assert fixed(f"from flask import Flask\n{before}\n").endswith(f"\n{after}\n")


def test_the_exception_of_a_status_is_imported_once():
    hook = "@app.errorhandler(404)\ndef a(error): pass\n"
    text = fixed(f'"""Shop."""\n\nfrom flask import Flask\n{hook}{hook}')
    assert text.startswith(
        '"""Shop."""\n\nfrom sanicish.exceptions import NotFound\nfrom sanicish import Sanic as Flask\n'
    )
    assert text.count("import NotFound") == 1


@pytest.mark.parametrize(
    "hook", ["@app.errorhandler(500)\ndef a(error): pass", "@app.before_request\ndef a(*given): pass"]
)
def test_hooks_that_need_a_look_are_left_to_hands(hook):
    assert said(f"import sanicish\n{hook}\n") == [(2, "change", "application")]


def test_a_program_of_flask_runs_after_the_fix():
    text = """
        from flask import Flask, jsonify, redirect, request, url_for

        app = Flask("ported")

        @app.before_request
        def check():
            if request.args.get("key") == "wrong":
                return jsonify(error="wrong key"), 403

        @app.after_request
        def mark(response):
            response.headers["X-Seen"] = "yes"
            return response

        @app.errorhandler(404)
        def lost(error):
            return jsonify(error="lost"), 404

        @app.route("/orders/<int:number>/<name>")
        def order(number, name):
            return jsonify(number=number, name=name)

        @app.route("/")
        def index():
            return redirect(url_for("order", number=7, name="a b"), code=303)
    """
    made = {}
    exec(fixed(text), made)
    app = made["app"]

    def ask(path):
        _, response = app.test_client.get(path)
        assert response.headers["X-Seen"] == "yes"
        return response.status, response.json

    assert ask("/") == (200, {"number": 7, "name": "a b"})
    assert ask("/?key=wrong") == (403, {"error": "wrong key"})
    assert ask("/nowhere") == (404, {"error": "lost"})


# Views


def test_converters_are_turned_round():
    text = "import sanicish\n@app.get('/a/<int:id>/<name>/<path:rest>')\nasync def a(id, name, rest): pass\n"
    assert "'/a/<id:int>/<name>/<rest:path>'" in fixed(text)


def test_converters_of_sanic_stay():
    assert said("import sanicish\n@app.get('/a/<id:int>')\nasync def a(request, id): pass\n") == []


@pytest.mark.parametrize("path", ["/<name>", "/a/<path:rest>", "/<int:n>/<name>"])
def test_values_in_paths_stay_decoded(path):
    text = f"from flask import Flask\n@app.route('{path}', methods=['GET'])\nasync def a(**values): pass\n"
    assert "methods=['GET'], unquote=True)" in fixed(text)


def test_numbers_in_paths_need_no_decoding():
    assert "unquote" not in fixed("import flask\n@app.route('/<int:n>')\nasync def a(n): pass\n")


def test_arguments_of_converters_are_left_to_hands():
    assert said("import sanicish\n@app.get('/<any(a, b):kind>')\nasync def a(kind): pass\n") == [(2, "change", "path")]


def test_plain_views_are_told_once_for_a_module():
    text = "import flask\n@app.route('/')\ndef a(): pass\n@app.route('/b')\ndef b(): pass\n"
    assert rules(text) == ["plain-view"]


@pytest.mark.parametrize(
    "page", ["'<h1>a</h1>'", "f'<h1>{a}</h1>'", "'<h1>%s</h1>' % a", "'<h1>' + a", "'<b>{}'.format(a)"]
)
def test_pages_are_told_where_text_is_plain(page):
    assert rules(f"import flask\n@app.route('/')\nasync def a():\n    return {page}\n") == ["plain-text"]


def test_a_response_without_a_type_is_plain():
    text = "from flask import Response\nResponse(rows())\nResponse(rows(), mimetype='text/csv')\nResponse('no', 400)\n"
    assert rules(text) == ["plain-text"]


# The command


SHOP = "from sanic import Sanic\nfrom sanic.response import stream\n\n\nasync def rows(response):\n    response.write('é')\n\n\nstream(rows)\n"


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def test_findings_are_listed_with_file_and_line(shop, capsys):
    assert main(["port", str(shop)]) == 1
    out = capsys.readouterr().out
    assert f"{shop / 'shop.py'}:1: fix: from sanic import Sanic\n    from sanicish import Sanic\n" in out
    assert f"{shop / 'shop.py'}:6: fix: response.write('é')\n" in out
    assert out.endswith("1 file read, 3 to fix (--fix does it), 0 to change, 0 to look at\n")


def test_fix_writes_what_is_safe_and_nothing_is_left(shop, capsys):
    assert main(["port", "--fix", str(shop)]) == 0
    text = SHOP.replace("from sanic", "from sanicish").replace("    response", "    await response")
    assert (shop / "shop.py").read_text() == text
    assert capsys.readouterr().out == "1 file read, 3 fixed, 0 to change, 0 to look at\n"
    assert main(["port", str(shop)]) == 0


def test_what_is_to_be_looked_at_is_told_after_a_fix_too(tmp_path, capsys):
    (tmp_path / "shop.py").write_text("from flask import Flask\napp = Flask('a')\n@app.route('/')\ndef a(): pass\n")
    main(["port", "--fix", str(tmp_path)])
    assert "look: def a()" in capsys.readouterr().out
    main(["port", str(tmp_path)])
    assert "look: def a()" in capsys.readouterr().out


def test_findings_come_as_json(shop, capsys):
    main(["port", "--format", "json", str(shop / "shop.py")])
    found = json.loads(capsys.readouterr().out)
    assert found[0] == {
        "path": str(shop / "shop.py"),
        "line": 1,
        "column": 1,
        "kind": "fix",
        "rule": "import",
        "call": "from sanic import Sanic",
        "advice": "from sanicish import Sanic",
    }


def test_line_ends_and_encodings_stay(tmp_path):
    data = "# -*- coding: latin-1 -*-\r\nname = 'é'; from sanic import Sanic\r\n".encode("latin-1")
    (tmp_path / "old.py").write_bytes(data)
    main(["port", "--fix", str(tmp_path)])
    assert (tmp_path / "old.py").read_bytes() == data.replace(b"from sanic ", b"from sanicish ")


@pytest.mark.slow
def test_file_that_cannot_be_written_is_left_whole_and_the_command_fails(shop):
    large = SHOP + "# " + "x" * 20_000 + "\n"
    (shop / "large.py").write_text(large)
    command = [sys.executable, "-m", "sanicish", "port", "--fix", str(shop)]
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (10_000, 10_000))
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, preexec_fn=limit)
    assert done.returncode == 1
    assert done.stderr == f"{shop / 'large.py'}: cannot be written, and was left as it is: File too large\n"
    assert (shop / "large.py").read_text() == large
    assert "from sanicish" in (shop / "shop.py").read_text()
    assert sorted(path.name for path in shop.iterdir()) == ["large.py", "shop.py"]


def test_mode_of_a_file_stays(shop):
    (shop / "shop.py").chmod(0o750)
    main(["port", "--fix", str(shop)])
    assert (shop / "shop.py").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("fix", [[], ["--fix"]])
def test_links_that_lead_out_of_the_folder_are_passed_over_and_named(tmp_path, capsys, fix):
    (tmp_path / "outside.py").write_text(SHOP)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    (folder / "up.py").symlink_to("../outside.py")
    assert main(["port", *fix, str(folder)]) == 0
    captured = capsys.readouterr()
    for name in ("link.py", "up.py"):
        assert f"{folder / name}: passed over, it is a link that leads out of {folder}\n" in captured.err
    assert captured.out.startswith("0 files read")
    assert (tmp_path / "outside.py").read_text() == SHOP


def test_link_inside_the_folder_stays_a_link_and_its_file_is_fixed_once(shop, capsys):
    (shop / "again.py").symlink_to("shop.py")
    (shop / "lost.py").symlink_to("nowhere.py")
    assert main(["port", "--fix", str(shop), str(shop / "shop.py")]) == 0
    assert capsys.readouterr() == ("1 file read, 3 fixed, 0 to change, 0 to look at\n", "")
    assert (shop / "again.py").is_symlink()
    assert "from sanicish" in (shop / "shop.py").read_text()


def test_link_that_is_named_is_followed(shop, tmp_path):
    (tmp_path / "link.py").symlink_to(shop / "shop.py")
    assert main(["port", "--fix", str(tmp_path / "link.py")]) == 0
    assert (tmp_path / "link.py").is_symlink()
    assert "from sanicish" in (shop / "shop.py").read_text()


def test_what_is_no_python_makes_the_command_fail(tmp_path, capsys):
    (tmp_path / "old.py").write_text("from sanic import Sanic\nprint 'a'\n")
    assert main(["port", str(tmp_path)]) == 1
    assert "old.py: cannot be read" in capsys.readouterr().err


def test_what_is_no_python_is_told_and_the_rest_is_read(shop, capsys):
    (shop / "old.py").write_text("from sanic import Sanic\nprint 'a'\n")
    assert main(["port", str(shop)]) == 1
    captured = capsys.readouterr()
    assert "old.py: cannot be read" in captured.err
    assert "2 files read" in captured.out


def test_installed_packages_are_not_read(shop, capsys):
    (shop / ".venv" / "lib").mkdir(parents=True)
    (shop / ".venv" / "lib" / "a.py").write_text("import sanic\n")
    main(["port", str(shop)])
    assert "1 file read" in capsys.readouterr().out


def test_a_path_that_is_not_there_is_told(tmp_path, capsys):
    assert main(["port", str(tmp_path / "nowhere")]) == 2
    assert "there is no" in capsys.readouterr().err


def test_the_guide_tells_every_rule():
    nodes = [
        node for room in (ROOT / "sanicish" / "porting").glob("*.py") for node in ast.walk(ast.parse(room.read_text()))
    ]
    calls = [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "finding"]
    used = {call.args[1].value for call in calls if isinstance(call.args[1], ast.Constant)}
    told = set(re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "porting" / "port.md").read_text(), re.MULTILINE))
    assert used | {"import"} == told - {"fix", "change", "look"}
