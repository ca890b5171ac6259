"""Blueprints and groups: prefixes, versions, hosts, names, and what counts for their own routes only."""

import pytest

from sanicish.app import Sanic
from sanicish.blueprints import Blueprint, BlueprintGroup
from sanicish.exceptions import NotFound, SanicException
from sanicish.response import text


def answering(body):
    """A handler that says one thing."""

    async def handler(request, **values):
        return text(body)

    return handler


def status(app, path, **options):
    return app.test_client.get(path, gather_request=False, **options).status


def body(app, path, **options):
    response = app.test_client.get(path, gather_request=False, **options)
    assert response.status == 200, (path, response.status)
    return response.text


@pytest.fixture
def bp():
    return Blueprint("bp", url_prefix="/bp")


# Prefixes


@pytest.mark.parametrize("prefix", ["/bp", "bp", "/bp/", "bp/"])
def test_prefix_stands_before_every_path(app, prefix):
    bp = Blueprint("bp", url_prefix=prefix)
    bp.get("/a")(answering("a"))
    app.blueprint(bp)
    assert body(app, "/bp/a") == "a"
    assert status(app, "/a") == 404


@pytest.mark.parametrize("prefix", [None, "", "/"])
def test_blueprint_without_a_prefix_stands_at_the_root(app, prefix):
    bp = Blueprint("bp", url_prefix=prefix)
    bp.get("/a")(answering("a"))
    bp.get("/")(answering("root"))
    app.blueprint(bp)
    assert body(app, "/a") == "a"
    assert body(app, "/") == "root"


@pytest.mark.parametrize("uri", ["", "/"])
def test_root_of_a_blueprint_is_its_prefix(app, bp, uri):
    bp.get(uri)(answering("root"))
    app.blueprint(bp)
    assert body(app, "/bp") == body(app, "/bp/") == "root"


def test_prefix_may_have_parameters(app):
    bp = Blueprint("bp", url_prefix="/<tenant>")

    @bp.get("/a/<id:int>")
    async def handler(request, tenant, id):
        return text(f"{tenant} {id + 1}")

    app.blueprint(bp)
    assert body(app, "/acme/a/1") == "acme 2"


def test_prefix_may_be_replaced_when_mounting(app, bp):
    bp.get("/a")(answering("a"))
    app.blueprint(bp, url_prefix="/other")
    assert body(app, "/other/a") == "a"
    assert status(app, "/bp/a") == 404


def test_prefix_may_be_taken_away_when_mounting(app, bp):
    bp.get("/a")(answering("a"))
    app.blueprint(bp, url_prefix="")
    assert body(app, "/a") == "a"


def test_option_that_does_not_exist_is_refused(app, bp):
    with pytest.raises(TypeError, match="url_perfix"):
        app.blueprint(bp, url_perfix="/x")


def test_blueprint_may_be_mounted_at_two_places(app, bp):
    bp.get("/a")(answering("a"))
    app.blueprint(bp)
    app.blueprint(bp, url_prefix="/again")
    assert body(app, "/bp/a") == body(app, "/again/a") == "a"


def test_blueprint_at_two_places_listens_once(app, bp):
    heard = []
    bp.before_server_start(lambda app: heard.append("start"))
    app.blueprint(bp)
    app.blueprint(bp, url_prefix="/again")
    app.test_client.get("/")
    assert heard == ["start"]


def test_two_blueprints_of_one_name_are_refused(app, bp):
    app.blueprint(bp)
    with pytest.raises(SanicException, match="another blueprint named bp"):
        app.blueprint(Blueprint("bp"))


def test_application_knows_its_blueprints(app, bp):
    app.register_blueprint(bp)
    assert app.blueprints == {"bp": bp}


def test_blueprint_may_serve_two_applications(bp):
    bp.get("/a")(answering("a"))
    for name in ("one", "two"):
        app = Sanic(name, configure_logging=False, register=False)
        app.blueprint(bp, url_prefix=f"/{name}")
        assert body(app, f"/{name}/a") == "a"


def test_path_that_is_taken_is_refused_across_blueprints(app, bp):
    bp.get("/a")(answering("a"))
    app.blueprint(bp)
    other = Blueprint("other", url_prefix="/bp")
    other.get("/a")(answering("b"))
    with pytest.raises(ValueError, match="GET /bp/a is registered already"):
        app.blueprint(other)


# Streaming, views, files


def test_both_spellings_of_a_streaming_route(app, bp):
    async def upload(request):
        return text(repr(await request.stream.read()))

    bp.stream("/old")(upload)
    bp.put("/new", stream=True)(upload)
    bp.add_route(upload, "/added", methods=["POST"], stream=True)
    app.blueprint(bp)
    client = app.test_client
    assert client.post("/bp/old", data=b"1")[1].text == "b'1'"
    assert client.put("/bp/new", data=b"2")[1].text == "b'2'"
    assert client.post("/bp/added", data=b"3")[1].text == "b'3'"


def test_files_of_a_blueprint_stand_under_its_prefix(app, tmp_path):
    (tmp_path / "a.txt").write_text("file")
    bp = Blueprint("bp", url_prefix="/bp", host="own.test", version=2)
    bp.static("/files", tmp_path)
    app.blueprint(bp)
    assert body(app, "/v2/bp/files/a.txt", headers={"Host": "own.test"}) == "file"
    assert status(app, "/v2/bp/files/a.txt") == 404
    assert app.url_for("bp.static", filename="a.txt") == "/v2/bp/files/a.txt"


# Versions


@pytest.mark.parametrize(("version", "path"), [(1, "/v1"), (1.5, "/v1.5"), ("2", "/v2"), ("v3", "/v3"), (0, "/v0")])
def test_version_stands_before_the_prefix(app, version, path):
    bp = Blueprint("bp", url_prefix="/bp", version=version)
    bp.get("/a")(answering("a"))
    app.blueprint(bp)
    assert body(app, f"{path}/bp/a") == "a"


def test_version_of_a_route_wins_over_its_blueprint(app):
    bp = Blueprint("bp", url_prefix="/bp", version=1)
    bp.get("/a", version=2)(answering("a"))
    app.blueprint(bp)
    assert body(app, "/v2/bp/a") == "a"


def test_version_may_be_replaced_when_mounting(app):
    bp = Blueprint("bp", version=1)
    bp.get("/a")(answering("a"))
    app.blueprint(bp, version=3)
    assert body(app, "/v3/a") == "a"


def test_version_prefix_of_a_blueprint_is_for_all_its_routes(app):
    bp = Blueprint("bp", url_prefix="/bp", version=1, version_prefix="/api/v")
    bp.get("/a")(answering("a"))
    bp.get("/b", version=2)(answering("b"))
    bp.get("/c", version_prefix="/c")(answering("c"))
    app.blueprint(bp)
    assert body(app, "/api/v1/bp/a") == "a"
    assert body(app, "/api/v2/bp/b") == "b"
    assert body(app, "/c1/bp/c") == "c"


# Hosts


def test_host_of_a_blueprint_is_for_all_its_routes(app):
    bp = Blueprint("bp", host="own.test")
    bp.get("/a")(answering("own"))
    bp.get("/b", host="other.test")(answering("other"))
    app.blueprint(bp)
    assert body(app, "/a", headers={"Host": "own.test"}) == "own"
    assert status(app, "/a") == 404
    assert body(app, "/b", headers={"Host": "other.test"}) == "other"
    assert status(app, "/b", headers={"Host": "own.test"}) == 404


def test_blueprint_may_have_several_hosts(app):
    bp = Blueprint("bp", host=["one.test", "two.test"])
    bp.get("/a")(answering("own"))
    app.blueprint(bp)
    assert [status(app, "/a", headers={"Host": f"{n}.test"}) for n in ("one", "two", "three")] == [200, 200, 404]


# Slashes


@pytest.mark.parametrize(
    ("app_says", "blueprint_says", "route_says", "found"),
    [
        (False, None, None, 200),
        (True, None, None, 404),
        (True, False, None, 200),
        (False, True, None, 404),
        (False, True, False, 200),
        (True, False, True, 404),
    ],
)
def test_the_nearest_word_on_slashes_counts(app, app_says, blueprint_says, route_says, found):
    app.strict_slashes = app_says
    bp = Blueprint("bp", strict_slashes=blueprint_says)
    bp.get("/a", strict_slashes=route_says)(answering("a"))
    app.blueprint(bp)
    assert status(app, "/a/") == found


# Names


def test_names_of_routes_begin_with_the_blueprint(app, bp):
    @bp.get("/a")
    async def handler(request):
        return text(request.endpoint)

    bp.get("/b/<id:int>", name="b")(answering("b"))
    app.blueprint(bp)
    assert body(app, "/bp/a") == "test.bp.handler"
    assert app.url_for("bp.handler") == app.url_for("test.bp.handler") == "/bp/a"
    assert app.url_for("bp.b", id=3) == "/bp/b/3"
    assert app.url_for("test.bp.b", id=3) == "/bp/b/3"


def test_whole_name_comes_before_one_without_the_application(app):
    bp = Blueprint("test")
    bp.get("/a", name="a")(answering("a"))
    app.blueprint(bp)
    assert app.url_for("test.a") == "/a"
    app.get("/b", name="a")(answering("b"))
    assert app.url_for("test.a") == "/b"
    assert app.url_for("test.test.a") == "/a"


# Middleware: only for its own routes


@pytest.fixture
def two(app):
    """A blueprint, a neighbour and a route of the application."""
    mine, other = Blueprint("mine", url_prefix="/mine"), Blueprint("other", url_prefix="/other")
    for registry in (mine, other, app):
        registry.get("/a")(answering("a"))
    return mine, other


def test_request_middleware_runs_for_its_own_routes(app, two):
    mine, other = two
    seen = []
    mine.on_request(lambda request: seen.append(request.path))
    app.blueprint([mine, other])
    for path in ("/mine/a", "/other/a", "/a", "/mine/nothing"):
        app.test_client.get(path)
    assert seen == ["/mine/a"]


def test_request_middleware_of_a_blueprint_may_answer(app, two):
    mine, other = two

    @mine.middleware("request")
    async def stop(request):
        return text("stopped", 403)

    app.blueprint([mine, other])
    assert status(app, "/mine/a") == 403
    assert status(app, "/other/a") == 200


def test_response_middleware_runs_for_its_own_routes(app, two):
    mine, other = two

    @mine.middleware("response")
    async def mark(request, response):
        response.headers["X-Mine"] = "yes"

    app.blueprint([mine, other])
    assert app.test_client.get("/mine/a")[1].headers.get("X-Mine") == "yes"
    assert app.test_client.get("/other/a")[1].headers.get("X-Mine") is None


def test_middleware_counts_for_routes_that_were_registered_before_it(app, bp):
    bp.get("/a")(answering("a"))
    bp.on_request(lambda request: text("stopped"))
    app.blueprint(bp)
    assert body(app, "/bp/a") == "stopped"


def test_middleware_of_the_application_surrounds_that_of_the_blueprint(app, bp):
    order = []

    def note(word):
        return lambda *seen: order.append(word)

    bp.on_request(note("bp in 1"))
    bp.on_request(note("bp in 2"))
    bp.on_response(note("bp out 1"))
    bp.on_response(note("bp out 2"))
    bp.get("/a")(answering("a"))
    app.on_request(note("app in"))
    app.on_response(note("app out"))
    app.blueprint(bp)
    app.test_client.get("/bp/a")
    assert order == ["app in", "bp in 1", "bp in 2", "bp out 2", "bp out 1", "app out"]


def test_middleware_before_the_body_runs_for_its_own_routes_before_the_body_is_read(app, two):
    mine, _ = two
    mine.on_request(lambda request: text("refused", 401), before_body=True)
    for one in two:
        one.post("/p")(answering("posted"))
    app.blueprint(two)
    app.config.REQUEST_MAX_SIZE = 3
    assert app.test_client.post("/mine/p", data=b"too large")[1].status == 401
    assert app.test_client.post("/other/p", data=b"too large")[1].status == 413


def test_middleware_of_a_blueprint_runs_for_its_files(app, bp, tmp_path):
    (tmp_path / "a.txt").write_text("file")
    bp.static("/f", tmp_path)
    bp.on_request(lambda request: text("stopped"))
    app.blueprint(bp)
    assert body(app, "/bp/f/a.txt") == "stopped"


# Exception handlers: only for its own routes


def test_exception_handler_counts_for_its_own_routes(app, two):
    mine, other = two
    mine.exception(ValueError)(lambda request, error: text("mine", 418))

    async def fail(request):
        raise ValueError

    mine.get("/fail")(fail)
    other.get("/fail")(fail)
    app.blueprint([mine, other])
    assert status(app, "/mine/fail") == 418
    assert status(app, "/other/fail") == 500


def test_exception_handler_of_the_blueprint_comes_before_that_of_the_application(app, bp):
    @bp.get("/fail")
    async def fail(request):
        raise ValueError

    app.exception(ValueError)(lambda request, error: text("app"))
    bp.exception(ValueError)(lambda request, error: text("bp"))
    app.blueprint(bp)
    assert body(app, "/bp/fail") == "bp"


def test_not_found_that_a_handler_raises_is_its_blueprints_business(app, bp):
    @bp.get("/a")
    async def missing(request):
        raise NotFound

    bp.exception(NotFound)(lambda request, error: text("bp", 404))
    app.blueprint(bp)
    assert app.test_client.get("/bp/a")[1].text == "bp"
    assert app.test_client.get("/bp/nothing")[1].text != "bp"


def test_exception_handler_counts_for_middleware_of_its_own_routes(app, bp):
    @bp.on_request
    async def fail(request):
        raise ValueError

    bp.get("/a")(answering("a"))
    bp.exception(ValueError)(lambda request, error: text("caught"))
    app.blueprint(bp)
    assert body(app, "/bp/a") == "caught"


# Listeners


def test_listeners_of_a_blueprint_run_with_those_of_the_application(app, bp):
    order = []
    app.before_server_start(lambda app: order.append("app start"))
    bp.before_server_start(lambda app, loop: order.append("bp start"))
    app.after_server_stop(lambda app: order.append("app stop"))

    @bp.listener("after_server_stop")
    async def stop(app, loop):
        order.append("bp stop")

    app.blueprint(bp)
    app.test_client.get("/")
    assert order == ["app start", "bp start", "bp stop", "app stop"]


# Groups


def routed(name, prefix):
    bp = Blueprint(name, url_prefix=prefix)
    bp.get("/x")(answering(name))
    return bp


def test_group_has_a_prefix_before_those_of_its_members(app):
    app.blueprint(Blueprint.group(routed("a", "/a"), routed("b", "/b"), url_prefix="/group"))
    assert body(app, "/group/a/x") == "a"
    assert body(app, "/group/b/x") == "b"


def test_group_takes_lists(app):
    app.blueprint(Blueprint.group([routed("a", "/a"), routed("b", "/b")], url_prefix="group"))
    assert body(app, "/group/b/x") == "b"


def test_group_without_a_prefix(app):
    app.blueprint(Blueprint.group(routed("a", "/a")))
    assert body(app, "/a/x") == "a"


def test_groups_in_groups_add_up_their_prefixes(app):
    inner = Blueprint.group(routed("a", "/a"), url_prefix="/inner")
    app.blueprint(Blueprint.group(inner, routed("b", "/b"), url_prefix="/outer"))
    assert body(app, "/outer/inner/a/x") == "a"
    assert body(app, "/outer/b/x") == "b"


def test_prefix_of_a_group_may_be_replaced_when_mounting(app):
    app.blueprint(Blueprint.group(routed("a", "/a"), url_prefix="/group"), url_prefix="/other")
    assert body(app, "/other/a/x") == "a"


def test_version_of_a_group_is_for_members_without_one(app):
    old = Blueprint("old", url_prefix="/old", version=1)
    old.get("/x")(answering("old"))
    app.blueprint(Blueprint.group(old, routed("new", "/new"), version=2, version_prefix="/api/v"))
    assert body(app, "/api/v1/old/x") == "old"
    assert body(app, "/api/v2/new/x") == "new"


def test_version_of_the_inner_group_wins(app):
    inner = Blueprint.group(routed("a", "/a"), version=1)
    app.blueprint(Blueprint.group(inner, routed("b", "/b"), version=2))
    assert body(app, "/v1/a/x") == "a"
    assert body(app, "/v2/b/x") == "b"


def test_slashes_of_a_group_are_for_members_that_say_nothing(app):
    loose = Blueprint("loose", url_prefix="/loose", strict_slashes=False)
    loose.get("/x")(answering("loose"))
    app.blueprint(Blueprint.group(routed("tight", "/tight"), loose, strict_slashes=True))
    assert status(app, "/tight/x/") == 404
    assert status(app, "/loose/x/") == 200


def test_group_is_a_list_of_its_members():
    a, b = routed("a", "/a"), routed("b", "/b")
    group = Blueprint.group(a)
    group.append(b)
    assert list(group) == [a, b]
    assert (len(group), group[1]) == (2, b)
    assert isinstance(group, BlueprintGroup)


def test_middleware_of_a_group_surrounds_that_of_its_members(app):
    order = []

    def note(word):
        return lambda *seen: order.append(word)

    a = routed("a", "/a")
    a.on_request(note("a in"))
    a.on_response(note("a out"))
    inner = Blueprint.group(a, url_prefix="/inner")
    inner.on_request(note("inner in"))
    inner.on_response(note("inner out"))
    outer = Blueprint.group(inner, routed("b", "/b"))
    outer.middleware("request")(note("outer in"))
    outer.middleware("response")(note("outer out"))
    app.blueprint(outer)
    app.test_client.get("/inner/a/x")
    assert order == ["outer in", "inner in", "a in", "a out", "inner out", "outer out"]
    order.clear()
    app.test_client.get("/b/x")
    assert order == ["outer in", "outer out"]


def test_exception_handler_of_a_group_counts_for_its_members(app):
    async def fail(request):
        raise ValueError

    a = Blueprint("a", url_prefix="/a")
    a.get("/fail")(fail)
    app.get("/fail")(fail)
    group = Blueprint.group(a)
    group.exception(ValueError)(lambda request, error: text("group"))
    app.blueprint(group)
    assert body(app, "/a/fail") == "group"
    assert status(app, "/fail") == 500


def test_exception_handler_of_a_member_comes_before_that_of_its_group(app):
    a = Blueprint("a", url_prefix="/a")

    @a.get("/fail")
    async def fail(request):
        raise ValueError

    a.exception(ValueError)(lambda request, error: text("member"))
    group = Blueprint.group(a)
    group.exception(ValueError)(lambda request, error: text("group"))
    app.blueprint(group)
    assert body(app, "/a/fail") == "member"


def test_blueprint_shows_itself(bp):
    assert repr(bp) == "<Blueprint bp /bp>"
    assert repr(Blueprint("root")) == "<Blueprint root />"
