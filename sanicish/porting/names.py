"""Where a name of Sanic, Flask or Quart is found here, or what stands in its place.

Whether a name is here is asked of the modules themselves, so nothing can go out of date; the tables hold what to do
about the others.
"""

import importlib
import importlib.util
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from sanicish.app import Sanic
from sanicish.blueprints import Blueprint
from sanicish.porting.source import FRAMEWORKS
from sanicish.request import Request
from sanicish.response import HTTPResponse, StreamingHTTPResponse

__all__ = [
    "FAMILIES",
    "HOOKS",
    "NOTES",
    "ON_APPLICATION",
    "ON_REQUEST",
    "ON_RESPONSE",
    "Place",
    "has_member",
    "is_module",
    "place",
    "substitute",
    "takes",
]


class Place(NamedTuple):
    """Where a name is found: a module, and the name there."""

    module: str
    name: str


FAMILIES = ("sanic_", "flask_", "quart_", "sanic-", "werkzeug.exceptions")

NOTES = {
    "flask.render_template": "the page is streamed",
    "quart.render_template": "the page is streamed",
    "sanic.views.CompositionView": "Sanic took it out in 21.12",
    "sanic.response.StreamingHTTPResponse": "Sanic took it out in 21.12",
    "sanic.response.stream": "Sanic took it out in 21.12",
    "sanic.exceptions.abort": "Sanic took it out in 21.12",
}

_MOVED = {
    "sanic.blueprint_group": "sanicish.blueprints",
    "sanic.server.protocols.http_protocol": "sanicish.server",
    "sanic.models.http_types": "sanicish.request",
}
_TOP = ("sanicish", "sanicish.exceptions", "sanicish.config", "sanicish.views", "sanicish.response", "sanicish.helpers")
_SAME = {"Flask": Place("sanicish", "Sanic"), "Quart": Place("sanicish", "Sanic")}
_OF_FLASK = [
    "Blueprint",
    "Config",
    "Request",
    "Response",
    "abort",
    "make_response",
    "redirect",
    "request",
    "stream_template",
    "stream_template_string",
    "stream_with_context",
]

_SUBSTITUTES = {
    "BadRequestKeyError": "a missing item of args, form or files is a 400 by itself (sanicish.exceptions.BadRequest)",
    "Header": "sanicish.headers.Headers",
    "Markup": "from markupsafe import Markup",
    "SanicASGITestClient": "app.test_client() is the asynchronous client",
    "SanicTestClient": "sanicish.testing.SanicTestClient",
    "after_this_request": "change the response before it is returned, or @app.on_response",
    "copy_current_request_context": "not needed: tasks keep the request; for threads asyncio.to_thread does",
    "current_app": "request.app",
    "escape": "from markupsafe import escape",
    "flash": "no sessions here: keep messages where your sessions are",
    "g": "request.ctx for what belongs to a request, app.ctx for what belongs to the application",
    "get_flashed_messages": "no sessions here: keep messages where your sessions are",
    "has_app_context": "not needed: an application is always the one it was made as",
    "has_request_context": "bool(request), with `from sanicish import request`",
    "json": "import json, the standard library's; answers are sanicish.json(value)",
    "jsonify": "return the dict or list itself, or sanicish.json(value); keywords become a dict",
    "render_template": "stream_template(name, **context) streams the page; or Jinja's own render and html()",
    "render_template_string": "stream_template_string(source, **context) streams the page",
    "send_file": "`return await file(path)` in an async def; filename= makes a download, ranges and conditions are on",
    "send_from_directory": "app.static(uri, directory), or `await file(path)` in an async def",
    "session": "no sessions here: a signed cookie or a store of your own, read in @app.on_request into request.ctx",
    "url_for": "request.url_for(name) gives a whole address, app.url_for(name) a path",
    "websocket": "no websockets here: an event stream (sse) one way, a streamed upload the other",
    "Websocket": "no websockets here: an event stream (sse) one way, a streamed upload the other",
    "WebsocketClosed": "no websockets here: an event stream (sse) one way, a streamed upload the other",
    "WebSocketProtocol": "no websockets here: an event stream (sse) one way, a streamed upload the other",
    "GunicornWorker": "no gunicorn: `sanicish module:app --workers N`",
    "RequestEntityTooLarge": "sanicish.exceptions.PayloadTooLarge",
    "RequestedRangeNotSatisfiable": "sanicish.exceptions.RangeNotSatisfiable",
    "json_dumps": "json.dumps of the standard library; Sanic(dumps=) is what answers use",
    "ResponseReturnValue": "typing.Any, or the type of what you return",
    "RequestCancelled": "asyncio.CancelledError; request.cancel_reason says why",
    "HTTPException": "sanicish.exceptions.SanicException",
    "InternalServerError": "sanicish.exceptions.ServerError",
    "HTTPMethod": 'plain text: "GET"; all of them are sanicish.constants.HTTP_METHODS',
    "JSONResponse": "json() gives an HTTPResponse; make its value whole before",
    "AppLoader": "pass `module:app` to the command, or app.run(workers=N)",
    "Signal": "the names of signals are plain text, see sanicish.signals",
    "Event": "the names of signals are plain text, see sanicish.signals",
}
_MODULES = {
    "sanic_testing": "app.test_client, and sanicish.testing",
    "sanic.testing": "app.test_client, and sanicish.testing",
    "sanic.websocket": "no websockets here: an event stream (sse) one way, a streamed upload the other",
    "sanic.worker": "`sanicish module:app --workers N`, or app.run(workers=N)",
    "sanic.compat": "inside of Sanic; Header is sanicish.headers.Headers, files are opened by file()",
    "werkzeug.exceptions": "raise those of sanicish.exceptions: others are a 500",
}

ON_REQUEST = {
    "access_route": "request.forwarded, for proxies that are trusted",
    "authorization": "request.token, or the header itself",
    "base_url": "request.url without its query",
    "blueprint": "request.route.name begins with it",
    "body_finish": "not called: a body is request.stream, or request.body",
    "body_init": "not called: a body is request.stream, or request.body",
    "body_push": "not called: a body is request.stream, or request.body",
    "content_encoding": "request.headers.get('content-encoding')",
    "content_length": "request.headers.get('content-length'), or request.stream.total on a streaming route",
    "credentials": "request.token, or the header itself",
    "environ": "no WSGI here: ask the request",
    "full_path": "request.raw_url.decode()",
    "get_cookies": "request.cookies",
    "get_data": "request.body is all of it; as_text: request.body.decode()",
    "get_form": "request.form",
    "get_json": "request.json, which raises BadRequest (400) for what is no JSON",
    "host_url": "request.scheme and request.host",
    "input_stream": "stream=True on the route, and `await request.stream.read()`",
    "is_json": "request.content_type",
    "is_safe": "compare request.method",
    "is_secure": "request.scheme == 'https'",
    "max_content_length": "max_body_size= of the route",
    "max_form_memory_size": "the setting REQUEST_MAX_FORM_SIZE",
    "max_form_parts": "the setting REQUEST_MAX_FORM_PARTS",
    "mimetype": "request.content_type, before its semicolon",
    "origin": "request.headers.get('origin')",
    "parsed_args": "request.args",
    "parsed_files": "request.files",
    "parsed_form": "request.form",
    "parsed_json": "request.json",
    "protocol": "the server's; request.conn_info tells of the connection",
    "range": "file() and ranged() answer ranges; the header is request.headers.get('range')",
    "referrer": "request.headers.get('referer')",
    "reset_response": "change what you return instead",
    "root_url": "request.scheme and request.host",
    "script_root": "SERVER_NAME tells a prefix",
    "url_root": "request.scheme and request.host",
    "url_rule": "request.uri_template",
    "user_agent": "request.headers.get('user-agent')",
    "values": "request.args or request.form",
    "view_args": "request.match_info",
}

# By name: what it is here, and how many arguments it was given before; one more comes first here.
HOOKS = {
    "before_request": ("on_request", 0),
    "after_request": ("on_response", 1),
    "errorhandler": ("exception", 1),
    "before_serving": ("before_server_start", 0),
    "after_serving": ("after_server_stop", 0),
}
ON_APPLICATION = {
    "add_background_task": "app.add_task(function(...))",
    "add_template_filter": "app.jinja_env.filters[name] = function",
    "add_url_rule": "app.add_route(handler, uri, methods=[...])",
    "add_websocket_route": "no websockets here: an event stream (sse) one way, a streamed upload the other",
    "after_request": "@app.on_response, with (request, response)",
    "after_serving": "@app.after_server_stop",
    "app_context": "not needed: there is one application, and it has no context",
    "app_errorhandler": "@app.exception(NotFound), with (request, exception)",
    "asgi_app": "the application is its own server here",
    "before_app_request": "@app.on_request, with (request)",
    "before_request": "@app.on_request, with (request); what it returns is the response, None goes on",
    "before_serving": "@app.before_server_start",
    "cli": "commands are functions of your own",
    "enable_websocket": "no websockets here: an event stream (sse) one way, a streamed upload the other",
    "errorhandler": "@app.exception(NotFound), with (request, exception); for a status name its class",
    "ext": "no extensions of Sanic here",
    "extend": "no extensions of Sanic here",
    "get_task": "keep what add_task() returns",
    "json": "Sanic(dumps=, loads=)",
    "json_encoder": "Sanic(dumps=)",
    "logger": "from sanicish.log import logger",
    "make_response": "sanicish.make_response",
    "open_resource": "open the file",
    "register_error_handler": "app.exception(NotFound)(function)",
    "register_named_middleware": "@app.on_request, and look at request.endpoint",
    "response_class": "return a response of your own",
    "secret_key": "no sessions here: keep the key where you sign",
    "send_static_file": "app.static(uri, directory)",
    "shared_ctx": "a database or a broker, which also works on two machines",
    "static_folder": "app.static(uri, directory)",
    "teardown_appcontext": "@app.after_server_stop, or `finally` in the handler",
    "teardown_request": "@app.on_response, or `finally` in the handler",
    "template_filter": "app.jinja_env.filters[name] = function",
    "test_cli_runner": "commands are functions of your own",
    "test_request_context": "app.test_client.get(path) makes a real request",
    "websocket": "no websockets here: an event stream (sse) one way, a streamed upload the other",
    "while_serving": "@app.before_server_start and @app.after_server_stop",
    "wsgi_app": "the application is its own server here; middleware is @app.on_request and @app.on_response",
}

ON_RESPONSE = {
    "call_on_close": "response.on_complete(function), which is told how it ended",
    "direct_passthrough": "nothing is gathered here",
    "set_cookie": "response.add_cookie(key, value, ...), secure unless told otherwise",
    "set_data": "return a response of that body",
}

_FORCED = frozenset({"websocket", "add_websocket_route", "enable_websocket"})  # there, to say that they are not


def _has(module: str, name: str) -> bool:
    try:
        if hasattr(importlib.import_module(module), name):
            return True
        return importlib.util.find_spec(f"{module}.{name}") is not None
    except ModuleNotFoundError:
        return False


def is_module(name: str) -> bool:
    """Whether this package has a module of that name, and no value that hides it."""
    hidden = getattr(importlib.import_module("sanicish"), name, None)
    there = importlib.util.find_spec(f"sanicish.{name}") is not None
    return there and (hidden is None or isinstance(hidden, ModuleType))


def place(module: str, name: str) -> Place | None:
    """Where ``from module import name`` of a framework is found here; ``None`` if it is not."""
    root, _, inner = module.partition(".")
    if root == "werkzeug":
        candidates: tuple[str, ...] = ("sanicish.exceptions",)
    elif root not in FRAMEWORKS:
        return None
    elif root in ("flask", "quart"):
        if name in _SAME:
            return _SAME[name]
        candidates = _TOP if name in _OF_FLASK else ()
    elif not inner:
        candidates = _TOP
    else:
        parts = inner.split(".")
        own = tuple("sanicish." + ".".join(parts[:end]) for end in range(len(parts), 0, -1))
        candidates = (_MOVED[module],) if module in _MOVED else own
    return next((Place(candidate, name) for candidate in candidates if _has(candidate, name)), None)


def substitute(module: str, name: str = "") -> str:
    """What to do without a name, or without a whole module, that is not here."""
    if name in _SUBSTITUTES:
        return _SUBSTITUTES[name]
    for known, advice in _MODULES.items():
        if f"{module}.".startswith(f"{known}."):
            return advice
    root = module.partition(".")[0]
    if root not in FRAMEWORKS:
        return f"made for {root.partition('_')[0].title()}, and needs its inner parts"
    return f"nothing here has the name {name}" if name else f"nothing here is like {module}"


def has_member(what: str, name: str) -> bool:
    """Whether a ``request``, an ``application`` or a ``response`` has a member of that name."""
    classes: tuple[type, ...] = {
        "request": (Request,),
        "application": (Sanic, Blueprint),
        "response": (HTTPResponse, StreamingHTTPResponse),
    }[what]
    return name not in _FORCED and any(hasattr(one, name) for one in classes)


def takes(what: str, keyword: str) -> bool:
    """Whether ``Sanic()``, ``Blueprint()``, ``run()`` takes a keyword."""
    calls: dict[str, Callable[..., Any]] = {"Sanic": Sanic, "Blueprint": Blueprint, "run": Sanic.run}
    return keyword in inspect.signature(calls[what]).parameters
