"""The names people import, where they import them from; and that every module can be imported alone."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sanicish

ROOT = Path(sanicish.__file__).parent

FACE = """
Blueprint Channel Event HTTPResponse Request Response Sanic Sanicish StreamingHTTPResponse __version__
buffered csv empty file file_stream html json json_array make_response ndjson raw redirect request sse
stream stream_template stream_template_string stream_with_context text
"""

NAMES = {
    "sanicish": FACE,
    "sanicish.app": "Sanic",
    "sanicish.blueprints": "Blueprint BlueprintGroup",
    "sanicish.config": "Config",
    "sanicish.constants": "HTTP_METHODS",
    "sanicish.cookies": "CookieJar",
    "sanicish.events": "Event EventSender sse encode_event",
    "sanicish.channel": "Channel",
    "sanicish.exceptions": """
        SanicException SanicishException NotFound InvalidUsage BadRequest MethodNotSupported MethodNotAllowed ServerError
        ServiceUnavailable URLBuildError FileNotFound RequestTimeout PayloadTooLarge HeaderNotFound ContentRangeError
        RangeNotSatisfiable HeaderExpectationFailed ExpectationFailed Forbidden InvalidRangeType PyFileError
        LoadFileException Unauthorized URITooLong BadURL InvalidHeader abort add_status_code
        StreamError StreamClosed StreamBusy RequestAborted ClientDisconnected WriteBufferFull ContentLengthMismatch
        """,
    "sanicish.handlers": "ErrorHandler ContentRangeHandler",
    "sanicish.helpers": "STATUS_CODES has_message_body stream_with_context",
    "sanicish.log": "logger error_logger access_logger",
    "sanicish.request": "Request RequestParameters StreamBuffer File",
    "sanicish.response": """
        stream file_stream file text json html raw empty redirect HTTPResponse StreamingHTTPResponse BaseHTTPResponse
        ResponseStream
        """,
    "sanicish.rows": "csv json_array ndjson",
    "sanicish.server": "HttpProtocol serve AsyncioServer",
    "sanicish.testing": "SanicTestClient",
    "sanicish.views": "HTTPMethodView CompositionView stream",
}

PAIRS = [(module, name) for module, names in NAMES.items() for name in names.split()]


@pytest.mark.parametrize(("module", "name"), PAIRS)
def test_name_is_where_people_import_it_from(module, name):
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize(("module", "name"), [pair for pair in PAIRS if pair[1] != "__version__"])
def test_name_is_said_to_be_public(module, name):
    assert name in importlib.import_module(module).__all__


def test_face_shows_these_names_and_no_others():
    assert sorted(sanicish.__all__) == sorted(FACE.split())


@pytest.mark.parametrize(
    ("module", "one", "other"),
    [
        ("sanicish", "Sanic", "Sanicish"),
        ("sanicish.exceptions", "InvalidUsage", "BadRequest"),
        ("sanicish.exceptions", "MethodNotSupported", "MethodNotAllowed"),
        ("sanicish.exceptions", "ContentRangeError", "RangeNotSatisfiable"),
        ("sanicish.exceptions", "HeaderExpectationFailed", "ExpectationFailed"),
        ("sanicish.exceptions", "SanicException", "SanicishException"),
        ("sanicish.response", "StreamingHTTPResponse", "ResponseStream"),
    ],
)
def test_two_names_of_one_thing(module, one, other):
    module = importlib.import_module(module)
    assert getattr(module, one) is getattr(module, other)


@pytest.mark.parametrize(
    ("logger", "name"),
    [("logger", "sanicish.root"), ("error_logger", "sanicish.error"), ("access_logger", "sanicish.access")],
)
def test_loggers_have_the_names_that_configurations_use(logger, name):
    assert getattr(importlib.import_module("sanicish.log"), logger).name == name


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        parts = ("sanicish", *path.relative_to(ROOT).with_suffix("").parts)
        if parts != ("sanicish", "__init__"):
            yield ".".join(parts).removesuffix(".__init__")


ALONE = """
import importlib, sys, types
package = types.ModuleType("sanicish")  # the face is not run: only what the module itself asks for is imported
package.__path__ = [sys.argv[1]]
sys.modules["sanicish"] = package
importlib.import_module(sys.argv[2])
"""


@pytest.mark.parametrize("module", list(modules()))
def test_module_can_be_imported_alone(module):
    """A circle of imports shows itself here: it works only when entered at one place."""
    subprocess.run([sys.executable, "-W", "error", "-c", ALONE, str(ROOT), module], check=True, timeout=30)


@pytest.mark.parametrize("module", list(modules()))
def test_every_public_name_of_a_module_exists(module):
    found = importlib.import_module(module)
    for name in getattr(found, "__all__", ()):
        assert hasattr(found, name), name


def test_import_of_the_face_does_not_pay_for_the_database():
    code = "import sys, sanicish; print([m for m in ('asyncpg', 'jinja2', 'pytest') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_in_the_reference():
    reference = ROOT.parent / "docs" / "reference"
    told = {
        name
        for page in reference.glob("*.md")
        for name in re.findall(r":: sanicish\S*\.(\w+)$", page.read_text(), re.M)
    }
    values = {"__version__", "Sanicish", "request"}  # told in words
    assert set(sanicish.__all__) - values <= told
