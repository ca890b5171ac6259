"""What an application and a blueprint can be told, and what is made of it."""

import inspect
from functools import partial
from pathlib import Path

import pytest

from sanicish.registration.definitions import ErrorDef, ListenerDef, MiddlewareDef, RouteDef, StaticDef
from sanicish.registration.registry import LISTENERS, Registry
from sanicish.router import RouteOptions
from sanicish.views import CompositionView, HTTPMethodView, stream


class Notebook(Registry):
    """A registry that writes down what it is told."""

    def __init__(self):
        self.told = []

    def apply(self, definition):
        self.told.append(definition)

    @property
    def only(self):
        assert len(self.told) == 1
        return self.told[0]


@pytest.fixture
def notes():
    return Notebook()


async def handler(request):
    """Never called here."""


# Signatures that code written for Sanic relies on

EMPTY = inspect.Parameter.empty


def parameters(name):
    signature = inspect.signature(getattr(Registry, name))
    return [(p.name, p.default) for p in signature.parameters.values() if p.name != "self"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "route",
            [
                ("uri", EMPTY),
                ("methods", frozenset({"GET"})),
                ("host", None),
                ("strict_slashes", None),
                ("stream", False),
                ("version", None),
                ("name", None),
            ],
        ),
        *(
            (
                method,
                [("uri", EMPTY), ("host", None), ("strict_slashes", None), ("version", None), ("name", None)],
            )
            for method in ("get", "head", "options", "delete")
        ),
        *(
            (
                method,
                [
                    ("uri", EMPTY),
                    ("host", None),
                    ("strict_slashes", None),
                    ("stream", False),
                    ("version", None),
                    ("name", None),
                ],
            )
            for method in ("post", "put", "patch")
        ),
        ("stream", [("uri", EMPTY), ("methods", frozenset({"POST"})), ("host", None), ("strict_slashes", False)]),
        ("middleware", [("middleware_or_request", EMPTY), ("attach_to", "request")]),
        (
            "static",
            [
                ("uri", EMPTY),
                ("file_or_directory", EMPTY),
                ("pattern", "/?.+"),
                ("use_modified_since", True),
                ("use_content_range", False),
                ("stream_large_files", False),
                ("name", "static"),
                ("host", None),
                ("strict_slashes", None),
                ("content_type", None),
            ],
        ),
    ],
)
def test_positional_arguments_are_those_of_sanic(name, expected):
    assert parameters(name)[: len(expected)] == expected


def test_positional_arguments_of_add_route_are_those_of_sanic():
    names = [name for name, _ in parameters("add_route")]
    assert names[:8] == ["handler", "uri", "methods", "host", "strict_slashes", "version", "name", "stream"]


# Routes


@pytest.mark.parametrize("method", ["get", "head", "options", "delete", "post", "put", "patch"])
def test_decorator_of_a_method_registers_that_method(notes, method):
    assert getattr(notes, method)("/a")(handler) is handler
    assert notes.only.methods == {method.upper()}
    assert not notes.only.stream


@pytest.mark.parametrize("method", ["get", "head", "options", "delete", "post", "put", "patch"])
def test_every_method_takes_stream(notes, method):
    getattr(notes, method)("/a", stream=True)(handler)
    assert notes.only.stream


@pytest.mark.parametrize("method", ["get", "head", "options", "delete", "post", "put", "patch"])
def test_arguments_of_a_method_reach_the_route(notes, method):
    getattr(notes, method)("/a", host="h", strict_slashes=True, version=2, name="n")(handler)
    assert notes.only == RouteDef(handler, "/a", frozenset({method.upper()}), "n", "h", True, False, 2)


def test_route_answers_get_unless_told_otherwise(notes):
    notes.route("/a")(handler)
    assert notes.only == RouteDef(handler, "/a", frozenset({"GET"}), "handler")


def test_methods_are_taken_in_any_case(notes):
    notes.route("/a", methods=["get", "Post"])(handler)
    assert notes.only.methods == {"GET", "POST"}


def test_one_method_may_be_given_as_text(notes):
    notes.route("/a", methods="PUT")(handler)
    assert notes.only.methods == {"PUT"}


def test_method_that_no_list_names_is_taken(notes):
    notes.route("/a", methods=["M-SEARCH"])(handler)
    assert notes.only.methods == {"M-SEARCH"}


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n"])
def test_what_cannot_be_a_method_is_refused(notes, method):
    with pytest.raises(ValueError, match="not a method of HTTP"):
        notes.route("/a", methods=[method])(handler)


def test_route_without_methods_is_refused(notes):
    with pytest.raises(ValueError, match="a route needs a method"):
        notes.route("/a", methods=[])(handler)


def test_path_gets_its_slash(notes):
    notes.get("a")(handler)
    assert notes.only.uri == "/a"


def test_several_hosts_are_kept(notes):
    notes.get("/a", host=["x", "y"])(handler)
    assert notes.only.host == ("x", "y")


def test_stream_decorator_registers_a_streaming_post(notes):
    notes.stream("/a")(handler)
    assert notes.only == RouteDef(handler, "/a", frozenset({"POST"}), "handler", None, False, True)


def test_stream_mark_makes_the_route_streaming(notes):
    notes.post("/a")(stream(handler_to_mark()))
    assert notes.only.stream


def handler_to_mark():
    def upload(request):
        """Never called here."""

    return upload


def test_add_route_gives_the_handler_back(notes):
    assert notes.add_route(handler, "/a") is handler


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (handler, "handler"),
        (partial(handler), "handler"),
        (partial(partial(handler)), "handler"),
        (type("Called", (), {"__call__": handler})(), "Called"),
        (CompositionView, "CompositionView"),
    ],
)
def test_route_is_named_after_its_handler(notes, one, name):
    notes.add_route(one, "/a")
    assert notes.only.name == name


def test_options_of_a_route_are_kept(notes):
    notes.post(
        "/a",
        ignore_body=True,
        unquote=True,
        error_format="json",
        timeout=1,
        idle_timeout=None,
        write_timeout=3,
        max_body_size=4,
        half_close=True,
        shield=True,
        ctx_level=5,
    )(handler)
    assert notes.only.options == RouteOptions(True, True, "json", 1, None, 3, 4, True, True, {"level": 5})


def test_option_that_does_not_exist_is_refused(notes):
    with pytest.raises(TypeError, match="tiemout"):
        notes.get("/a", tiemout=3)(handler)


@pytest.mark.parametrize("name", ["websocket", "add_websocket_route", "enable_websocket"])
def test_websocket_is_refused_with_what_may_be_used_instead(notes, name):
    with pytest.raises(NotImplementedError, match="stream at once"):
        getattr(notes, name)("/a")


# Views


class View(HTTPMethodView):
    def get(self, request):
        """Never called here."""

    @stream
    def post(self, request):
        """Never called here."""

    def helper(self):
        """No method of HTTP."""


def methods_by_stream(notes):
    return {told.stream: set(told.methods) for told in notes.told}


def test_view_brings_its_methods_each_with_its_own_stream_mark(notes):
    notes.add_route(View.as_view(), "/a")
    assert methods_by_stream(notes) == {False: {"GET"}, True: {"POST"}}


def test_streaming_registration_of_a_view_streams_every_method(notes):
    notes.add_route(View.as_view(), "/a", stream=True)
    assert methods_by_stream(notes) == {True: {"GET", "POST"}}


def test_view_may_be_registered_for_some_of_its_methods(notes):
    notes.add_route(View.as_view(), "/a", methods=["get"])
    assert methods_by_stream(notes) == {False: {"GET"}}


def test_composition_brings_its_methods_each_with_its_own_stream_mark(notes):
    view = CompositionView()
    view.add(["GET", "PUT"], handler)
    view.add(["POST"], handler, stream=True)
    notes.add_route(view, "/a")
    assert methods_by_stream(notes) == {False: {"GET", "PUT"}, True: {"POST"}}
    assert {told.name for told in notes.told} == {"CompositionView"}


def test_composition_without_handlers_is_refused(notes):
    with pytest.raises(ValueError, match="a route needs a method"):
        notes.add_route(CompositionView(), "/a")


# Files


@pytest.mark.parametrize("path", ["/srv/files", b"/srv/files", Path("/srv/files")])
def test_static_takes_text_bytes_and_paths(notes, path):
    notes.static("files", path)
    assert notes.only == StaticDef("/files", Path("/srv/files"), "static")


def test_arguments_of_static_are_kept(notes):
    notes.static(
        "/f",
        "/srv",
        r".+\.css",
        False,
        True,
        True,
        "assets",
        ["x", "y"],
        True,
        "text/css",
        version=1,
        version_prefix="/api/v",
        index="index.html",
        follow_external_symlink_files=True,
        follow_external_symlink_dirs=True,
    )
    assert notes.only == StaticDef(
        uri="/f",
        path=Path("/srv"),
        name="assets",
        host=("x", "y"),
        strict_slashes=True,
        version=1,
        version_prefix="/api/v",
        pattern=r".+\.css",
        use_modified_since=False,
        content_type="text/css",
        index=("index.html",),
        follow_external_symlink_files=True,
        follow_external_symlink_dirs=True,
    )


def test_option_of_static_that_does_not_exist_is_refused(notes):
    with pytest.raises(TypeError, match="indxe"):
        notes.static("/f", "/srv", indxe="index.html")


# Middleware


def watch(request):
    """Never called here."""


@pytest.mark.parametrize(
    "register",
    [
        lambda notes: notes.middleware(watch),
        lambda notes: notes.middleware("request")(watch),
        lambda notes: notes.on_request(watch),
        lambda notes: notes.on_request()(watch),
        lambda notes: notes.register_middleware(watch),
        lambda notes: notes.register_middleware(watch, "request"),
    ],
)
def test_every_spelling_of_request_middleware(notes, register):
    assert register(notes) is watch
    assert notes.only == MiddlewareDef(watch, "request")


@pytest.mark.parametrize(
    "register",
    [
        lambda notes: notes.middleware("response")(watch),
        lambda notes: notes.middleware(watch, attach_to="response"),
        lambda notes: notes.on_response(watch),
        lambda notes: notes.on_response()(watch),
        lambda notes: notes.register_middleware(watch, "response"),
    ],
)
def test_every_spelling_of_response_middleware(notes, register):
    assert register(notes) is watch
    assert notes.only == MiddlewareDef(watch, "response")


@pytest.mark.parametrize(
    "register",
    [
        lambda notes: notes.on_request(before_body=True)(watch),
        lambda notes: notes.register_middleware(watch, before_body=True),
    ],
)
def test_every_spelling_of_middleware_before_the_body(notes, register):
    assert register(notes) is watch
    assert notes.only == MiddlewareDef(watch, "request", True)


def test_middleware_is_attached_to_request_or_response(notes):
    with pytest.raises(ValueError, match="'request' or 'response', not 'both'"):
        notes.middleware("both")(watch)


# Exceptions


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((KeyError,), (KeyError,)),
        ((KeyError, ValueError), (KeyError, ValueError)),
        (((KeyError, ValueError),), (KeyError, ValueError)),
        (([KeyError], ValueError), (KeyError, ValueError)),
    ],
)
def test_classes_of_exception_are_taken_alone_and_in_lists(notes, given, expected):
    assert notes.exception(*given)(watch) is watch
    assert notes.only == ErrorDef(watch, expected)


@pytest.mark.parametrize("given", [(), (watch,), (404,), (int,), (KeyError("x"),)])
def test_what_is_no_class_of_exception_is_refused(notes, given):
    with pytest.raises(TypeError, match="classes of exception"):
        notes.exception(*given)


# Listeners


@pytest.mark.parametrize("event", LISTENERS)
def test_every_spelling_of_a_listener(notes, event):
    for register in (
        lambda: notes.listener(event)(watch),
        lambda: notes.listener(watch, event),
        lambda: notes.register_listener(watch, event),
        lambda: getattr(notes, event)(watch),
    ):
        assert register() is watch
    assert notes.told == [ListenerDef(watch, event)] * 4


def test_unknown_event_is_refused_with_those_that_are_known(notes):
    with pytest.raises(ValueError, match="no event 'server_start'; there are main_process_start, "):
        notes.listener("server_start")(watch)


def test_listener_without_event_is_refused(notes):
    with pytest.raises(ValueError, match="needs the name of an event"):
        notes.listener(watch)


def test_registry_alone_takes_nothing():
    with pytest.raises(NotImplementedError):
        Registry().get("/a")(handler)
