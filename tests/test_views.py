"""Classes as handlers, and the mark of handlers that read their body as a stream."""

import pytest

from sanicish.blueprints import Blueprint
from sanicish.exceptions import InvalidUsage, MethodNotAllowed
from sanicish.response import text
from sanicish.views import CompositionView, HTTPMethodView, stream


class Asked:
    """A request, as far as a view looks at it."""

    path = "/a"

    def __init__(self, method):
        self.method = method


class View(HTTPMethodView):
    """A view for tests."""

    def get(self, request, name="nobody"):
        return text(f"got {name}")

    async def post(self, request):
        return text(request.body.decode())

    @stream
    async def put(self, request):
        return text(f"read {await request.stream.read()!r}")


# The stream mark


def test_stream_marks_and_gives_back():
    def handler(request):
        """Never called here."""

    assert stream(handler) is handler
    assert handler.is_stream is True


def test_marked_function_streams_without_being_told_again(app):
    @app.post("/a")
    @stream
    async def upload(request):
        return text(repr(await request.stream.read()))

    assert app.test_client.post("/a", data=b"data", gather_request=False).text == "b'data'"


# HTTPMethodView


@pytest.fixture
def client(app):
    app.add_route(View.as_view(), "/a")
    app.add_route(View.as_view(), "/a/<name>")
    return app.test_client


def test_view_answers_with_the_method_of_that_name(client):
    assert client.get("/a")[1].text == "got nobody"
    assert client.post("/a", data="posted")[1].text == "posted"


def test_view_gets_the_parameters_of_the_path(client):
    assert client.get("/a/bob")[1].text == "got bob"


def test_each_method_of_a_view_has_its_own_stream_mark(client):
    assert client.put("/a", data=b"x")[1].text == "read b'x'"
    request, _ = client.post("/a", data=b"x")
    assert request.stream is None


def test_method_that_a_view_has_not_is_405_with_those_it_has(client):
    _, response = client.delete("/a")
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD, POST, PUT"


def test_head_of_a_view_is_answered_by_get_without_its_body(client):
    _, response = client.head("/a")
    assert response.status == 200
    assert response.headers["Content-Length"] == "10"
    assert response.body == b""


def test_head_of_a_view_is_its_own_if_it_has_one(app):
    class Own(View):
        def head(self, request):
            return text("", headers={"X-Own": "yes"})

    app.add_route(Own.as_view(), "/a")
    assert app.test_client.head("/a")[1].headers["X-Own"] == "yes"


def test_view_without_get_has_no_head():
    class Only(HTTPMethodView):
        def post(self, request):
            """Never called here."""

    with pytest.raises(MethodNotAllowed) as caught:
        Only().dispatch_request(Asked("HEAD"))
    assert caught.value.headers == {"Allow": "POST"}


def test_every_request_gets_a_view_of_its_own(app):
    class Counting(HTTPMethodView):
        seen = 0

        def get(self, request):
            self.seen += 1
            return text(str(self.seen))

    app.add_route(Counting.as_view(), "/a")
    assert [app.test_client.get("/a")[1].text for _ in range(2)] == ["1", "1"]


def test_arguments_of_as_view_make_the_view(app):
    class Greeting(HTTPMethodView):
        def __init__(self, word, *, mark):
            self.word, self.mark = word, mark

        def get(self, request):
            return text(self.word + self.mark)

    app.add_route(Greeting.as_view("hello", mark="!"), "/a")
    assert app.test_client.get("/a")[1].text == "hello!"


def test_decorators_wrap_the_handler_the_first_one_innermost(app):
    def note(mark):
        def decorator(handler):
            def noted(request, **values):
                response = handler(request, **values)
                response.headers.add("X-Mark", mark)
                return response

            return noted

        return decorator

    class Decorated(HTTPMethodView):
        decorators = [note("inner"), note("outer")]  # noqa: RUF012

        def get(self, request):
            return text("")

    app.add_route(Decorated.as_view(), "/a")
    assert app.test_client.get("/a")[1].headers.getall("X-Mark") == ["inner", "outer"]


def test_decorators_are_a_list():
    assert HTTPMethodView.decorators == []


def test_handler_of_a_view_tells_where_it_comes_from():
    handler = View.as_view()
    assert handler.view_class is View
    assert (handler.__name__, handler.__doc__, handler.__module__) == ("View", "A view for tests.", __name__)


def test_dispatch_may_be_wrapped_by_a_subclass(app):
    class Guarded(View):
        def dispatch_request(self, request, *args, **kwargs):
            if "token" not in request.args:
                return text("no token", 401)
            return super().dispatch_request(request, *args, **kwargs)

    app.add_route(Guarded.as_view(), "/a")
    assert app.test_client.get("/a")[1].status == 401
    assert app.test_client.get("/a?token=1")[1].text == "got nobody"


def test_view_is_registered_by_attach(app):
    View.attach(app, "/a", name="attached")
    assert app.test_client.put("/a", data=b"x")[1].text == "read b'x'"
    assert app.url_for("attached") == "/a"


def test_view_is_attached_for_some_of_its_methods(app):
    View.attach(app, "/a", methods=["GET"])
    assert app.test_client.post("/a", data="x")[1].status == 405


def test_view_is_attached_by_the_arguments_of_its_class(app):
    class Attached(HTTPMethodView, attach=app, uri="/b"):
        def get(self, request):
            return text("b")

    assert app.test_client.get("/b")[1].text == "b"


def test_view_is_attached_to_a_blueprint(app):
    bp = Blueprint("bp", url_prefix="/bp")

    class Attached(HTTPMethodView, attach=bp, uri="/b", version=1):
        def get(self, request):
            return text("b")

    app.blueprint(bp)
    assert app.test_client.get("/v1/bp/b")[1].text == "b"
    assert app.url_for("bp.Attached") == "/v1/bp/b"


# CompositionView


def composition():
    view = CompositionView()
    view.add(["GET"], lambda request, name="nobody": text(f"got {name}"))

    async def posted(request):
        return text(request.body.decode())

    async def put(request):
        return text(f"read {await request.stream.read()!r}")

    view.add(["POST", "PATCH"], posted)
    view.add(["PUT"], put, stream=True)
    return view


@pytest.fixture
def composed(app):
    app.add_route(composition(), "/a")
    app.add_route(composition(), "/a/<name>", name="named")
    return app.test_client


def test_composition_answers_with_the_handler_of_the_method(composed):
    assert composed.get("/a")[1].text == "got nobody"
    assert composed.get("/a/bob")[1].text == "got bob"
    assert composed.post("/a", data="1")[1].text == "1"
    assert composed.patch("/a", data="2")[1].text == "2"
    assert composed.put("/a", data=b"3")[1].text == "read b'3'"


def test_method_that_a_composition_has_not_is_405_with_those_it_has(composed):
    _, response = composed.delete("/a")
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD, PATCH, POST, PUT"


def test_head_of_a_composition_is_answered_by_get(composed):
    _, response = composed.head("/a")
    assert (response.status, response.body, response.headers["Content-Length"]) == (200, b"", "10")


def test_composition_shows_its_handlers():
    view = composition()
    assert set(view.handlers) == {"GET", "POST", "PATCH", "PUT"}
    assert view.streams == {"PUT"}
    assert view.name == "CompositionView"


def test_composition_takes_the_mark_of_a_handler():
    view = CompositionView()
    view.add(["POST"], stream(lambda request: None))
    assert view.streams == {"POST"}


def test_composition_refuses_an_unknown_method():
    with pytest.raises(InvalidUsage, match=r"^FETCH is not a valid HTTP method\.$"):
        CompositionView().add(["FETCH"], print)


def test_composition_refuses_a_second_handler_of_one_method():
    view = composition()
    with pytest.raises(InvalidUsage, match=r"^Method GET is already registered\.$"):
        view.add(["GET"], print)
