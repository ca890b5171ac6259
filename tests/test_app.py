"""An application: how it is made, what it is told, what it knows of itself."""

import asyncio
import inspect
import json as json_module
from types import SimpleNamespace

import pytest

from sanicish.app import Sanic
from sanicish.blueprints import Blueprint
from sanicish.config import Config
from sanicish.exceptions import SanicException, URLBuildError
from sanicish.handlers import ErrorHandler
from sanicish.request import Request
from sanicish.response import json, text
from sanicish.testing import SanicTestClient


def make(*given, **options):
    options.setdefault("configure_logging", False)
    options.setdefault("register", False)
    options.setdefault("load_env", False)
    return Sanic(*given, **options)


@pytest.fixture
def names(monkeypatch):
    """The applications that are known by name, none to begin with."""
    monkeypatch.setattr(Sanic, "_apps", {})


# Making one


@pytest.mark.parametrize("name", ["app", "a.dotted.name", "with blank", "näme", "__main__", "1"])
def test_name_may_be_any_text(name):
    assert make(name).name == name


def test_name_may_be_left_out():
    assert make().name == "sanicish"


def test_arguments_of_every_era_are_taken():
    handler, config, ctx = ErrorHandler(), Config(load_env=False), SimpleNamespace()

    class Own(Request):
        pass

    app = Sanic(
        name="all",
        config=config,
        ctx=ctx,
        error_handler=handler,
        load_env=False,
        env_prefix="X_",
        request_class=Own,
        strict_slashes=True,
        log_config={"version": 1},
        configure_logging=False,
        dumps=json_module.dumps,
        loads=json_module.loads,
        register=False,
        is_request_stream=True,
    )
    assert app.config is config
    assert app.ctx is ctx
    assert app.error_handler is handler
    assert app.request_class is Own
    assert app.strict_slashes is True
    assert app.log_config == {"version": 1}


@pytest.mark.parametrize("given", [{}, {"is_request_stream": False}, {"is_request_stream": True}])
def test_every_application_can_stream(given):
    assert make(**given).is_request_stream is True


def test_context_is_free_for_use():
    app = make()
    app.ctx.db = "pool"
    assert app.ctx.db == "pool"
    assert make().ctx is not app.ctx


def test_application_shows_its_name():
    assert repr(make("shop")) == "<Sanic shop>"


def test_new_application_is_not_running():
    app = make()
    assert (app.debug, app.is_running, app.is_stopping, app.shutting_down) == (False, False, False, False)


def test_loop_of_an_application_that_does_not_run_is_unknown():
    with pytest.raises(SanicException, match="once the server has started"):
        _ = make().loop


# Settings


def test_settings_are_the_defaults(monkeypatch):
    assert make().config == Config(load_env=False)


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SANICISH_KEEP_ALIVE_TIMEOUT", "30")
    assert make(load_env=True).config.KEEP_ALIVE_TIMEOUT == 30
    assert make(load_env=False).config.KEEP_ALIVE_TIMEOUT == 5


@pytest.mark.parametrize("given", [{"env_prefix": "SHOP_"}, {"load_env": "SHOP_"}])
def test_prefix_of_the_environment_may_be_chosen(monkeypatch, given):
    monkeypatch.setenv("SHOP_LEVEL", "3")
    monkeypatch.setenv("SANICISH_LEVEL", "4")
    assert make(**{"load_env": True, **given}).config.LEVEL == 3


def test_settings_given_as_a_mapping_are_laid_over_the_defaults():
    config = make(config={"LEVEL": 3, "KEEP_ALIVE_TIMEOUT": 7}).config
    assert (config.LEVEL, config.KEEP_ALIVE_TIMEOUT, config.KEEP_ALIVE) == (3, 7, True)


def test_settings_of_your_own_are_taken_as_they_are(monkeypatch):
    monkeypatch.setenv("SANICISH_LEVEL", "4")
    config = Config({"LEVEL": 3}, load_env=False)
    assert make(config=config, load_env=True).config is config
    assert config.LEVEL == 3


def test_settings_may_be_updated(tmp_path):
    app = make()
    app.update_config({"LEVEL": 1, "lower": 2})
    assert app.config.LEVEL == 1 and "lower" not in app.config
    path = tmp_path / "settings.py"
    path.write_text("LEVEL = 1 + 1\n")
    app.update_config(path)
    assert app.config.LEVEL == 2
    app.update_config(SimpleNamespace(LEVEL=3))
    assert app.config.LEVEL == 3


# By name


def test_application_is_found_by_its_name(names):
    one, two = make("one", register=True), make("two", register=None)
    assert Sanic.get_app("one") is one
    assert Sanic.get_app("two") is two


def test_only_application_is_found_without_a_name(names):
    app = make("one", register=True)
    assert Sanic.get_app() is app


@pytest.mark.parametrize("asked", [None, "nope"])
def test_unknown_application_is_refused_with_those_that_are_known(names, asked):
    make("one", register=True), make("two", register=True)
    with pytest.raises(SanicException, match="2 known: one, two"):
        Sanic.get_app(asked)


def test_unknown_application_may_be_made(names):
    app = Sanic.get_app("new", force_create=True)
    assert app.name == "new"
    assert Sanic.get_app("new") is app


def test_application_may_be_registered_later(names):
    app = make("hidden")
    with pytest.raises(SanicException):
        Sanic.get_app("hidden")
    Sanic.register_app(app)
    assert Sanic.get_app("hidden") is app


# Routes


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options", "head"])
def test_every_method_has_a_decorator(app, method):
    @getattr(app, method)("/a")
    async def handler(request):
        return text("", headers={"X-Method": request.method})

    assert getattr(app.test_client, method)("/a")[1].headers["X-Method"] == method.upper()


def test_route_may_answer_several_methods(app):
    @app.route("/a", methods=["GET", "DELETE"])
    async def handler(request):
        return text(request.method)

    assert app.test_client.delete("/a")[1].text == "DELETE"
    assert app.test_client.post("/a")[1].status == 405


def test_second_route_of_one_method_and_path_is_refused(app):
    app.get("/a")(lambda request: text("1"))
    with pytest.raises(ValueError, match="GET /a/ is registered already"):
        app.get("/a/")(lambda request: text("2"))


@pytest.mark.parametrize(("version", "path"), [(1, "/v1/a"), (1.1, "/v1.1/a"), ("v2", "/v2/a"), ("/3/", "/v3/a")])
def test_version_of_a_route_stands_before_its_path(app, version, path):
    app.get("/a", version=version)(lambda request: text("versioned"))
    assert app.test_client.get(path)[1].text == "versioned"


def test_version_prefix_of_a_route(app):
    app.get("/a", version=1, version_prefix="/api/v")(lambda request: text("versioned"))
    assert app.test_client.get("/api/v1/a")[1].text == "versioned"


@pytest.mark.parametrize(
    ("app_says", "route_says", "found"), [(False, None, 200), (True, None, 404), (True, False, 200)]
)
def test_route_may_differ_from_the_application_on_slashes(app, app_says, route_says, found):
    app.strict_slashes = app_says
    app.get("/a", strict_slashes=route_says)(lambda request: text(""))
    assert app.test_client.get("/a/")[1].status == found


def test_context_of_a_route_is_there_in_the_request(app):
    app.get("/a", ctx_role="admin")(lambda request: text(request.route.ctx.role))
    assert app.test_client.get("/a")[1].text == "admin"


def test_format_of_error_pages_may_be_set_for_a_route(app):
    @app.get("/a", error_format="json")
    async def fail(request):
        raise SanicException("why", status_code=418)

    assert app.test_client.get("/a", headers={"Accept": "text/html"})[1].json["message"] == "why"


def test_stream_decorator_of_the_first_year(app):
    @app.stream("/a")
    async def upload(request):
        return text(repr(await request.stream.get()))

    assert app.test_client.post("/a", data=b"x")[1].text == "b'x'"


# url_for


@pytest.fixture
def addressed(app, tmp_path):
    app.get("/post/<id:int>", name="post")(lambda request, id: text(""))
    app.get("/here", name="here", host="own.test")(lambda request: text(""))
    app.static("/files", tmp_path)
    app.static("/more", tmp_path, name="more")
    (tmp_path / "one.txt").write_text("")
    app.static("/one", tmp_path / "one.txt", name="one")
    bp = Blueprint("bp", url_prefix="/bp", version=1)
    bp.get("/x/<name>", name="x")(lambda request, name: text(""))
    bp.static("/files", tmp_path)
    bp.static("/more", tmp_path, name="more")
    app.blueprint(bp)
    return app


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("post", {"id": 5}, "/post/5"),
        ("test.post", {"id": 5}, "/post/5"),
        ("post", {"id": 5, "page": 2, "_anchor": "end"}, "/post/5?page=2#end"),
        ("here", {"_external": True}, "http://own.test/here"),
        ("bp.x", {"name": "a b"}, "/v1/bp/x/a%20b"),
        ("static", {"filename": "a/b.css"}, "/files/a/b.css"),
        ("static", {"filename": "/a.css", "v": 3}, "/files/a.css?v=3"),
        ("static", {"name": "more", "filename": "a b.css"}, "/more/a%20b.css"),
        ("more", {"filename": "a.css"}, "/more/a.css"),
        ("static", {"name": "one"}, "/one"),
        ("bp.static", {"filename": "a.css"}, "/v1/bp/files/a.css"),
        ("static", {"name": "bp.more", "filename": "a.css"}, "/v1/bp/more/a.css"),
        ("bp.static", {"name": "bp.more", "filename": "a.css"}, "/v1/bp/more/a.css"),
    ],
)
def test_address_of_a_route(addressed, name, values, expected):
    assert addressed.url_for(name, **values) == expected


def test_whole_address_takes_the_server_name_of_the_settings(addressed):
    addressed.config.SERVER_NAME = "https://shop.test"
    assert addressed.url_for("post", id=5, _external=True) == "https://shop.test/post/5"


def test_address_that_cannot_be_built_is_refused(addressed):
    for values in ({}, {"id": "five"}, {"id": 5, "_method": "PUT"}):
        with pytest.raises(URLBuildError):
            addressed.url_for("post", **values)


def test_request_gives_whole_addresses_of_its_own_host(addressed):
    addressed.get("/link")(lambda request: text(request.url_for("post", id=5)))
    request, response = addressed.test_client.get("/link")
    assert response.text == f"http://{request.host}/post/5"


# Functions of the application that requests use


def test_loads_of_the_application_reads_json():
    app = make(loads=lambda body: {"read": len(body)})
    app.post("/a")(lambda request: json(request.json))
    assert app.test_client.post("/a", data=b"12345")[1].json == {"read": 5}


# Tasks


def test_task_runs_beside_the_server(app):
    async def work(app):
        app.ctx.worked = True

    app.add_task(work)

    @app.get("/a")
    async def a(request):
        return text(str(app.ctx.worked))

    assert app.test_client.get("/a")[1].text == "True"


def test_handler_may_add_a_task(app):
    @app.get("/a")
    async def a(request):
        done = asyncio.Event()

        async def work():
            done.set()

        task = app.add_task(work(), name="work")
        await done.wait()
        return text(task.get_name())

    assert app.test_client.get("/a")[1].text == "work"


# Clients


def test_test_client_is_a_property(app):
    assert isinstance(app.test_client, SanicTestClient)


# Signatures


def test_arguments_of_run_are_those_of_sanic():
    parameters = inspect.signature(Sanic.run).parameters
    expected = """
        host port debug auto_reload ssl sock workers protocol backlog register_sys_signals access_log unix reload_dir
        single_process motd stop_event log_config
        """
    assert set(expected.split()) <= set(parameters)
    assert Sanic.go_fast is Sanic.run


def test_arguments_of_create_server_are_those_of_sanic():
    parameters = inspect.signature(Sanic.create_server).parameters
    expected = "host port debug ssl sock protocol backlog access_log unix return_asyncio_server asyncio_server_kwargs"
    assert list(parameters)[1:] == expected.split()
    assert parameters["return_asyncio_server"].default is False
