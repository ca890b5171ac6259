"""Names and numbers of HTTP."""

import pytest

from sanicish.constants import HTTP_METHODS, STATUS_CODES, has_message_body, reason


def test_methods_are_those_a_view_may_have():
    assert set(HTTP_METHODS) == {"GET", "POST", "PUT", "HEAD", "OPTIONS", "PATCH", "DELETE"}


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (200, b"OK"),
        (404, b"Not Found"),
        (413, b"Content Too Large"),
        (414, b"URI Too Long"),
        (416, b"Range Not Satisfiable"),
        (422, b"Unprocessable Content"),
        (431, b"Request Header Fields Too Large"),
    ],
)
def test_phrases_are_those_of_the_rfc_on_every_python(status, phrase):
    """RFC 9110 section 15, RFC 6585."""
    assert STATUS_CODES[status] == phrase


@pytest.mark.parametrize(
    ("status", "phrase"), [(200, "OK"), (503, "Service Unavailable"), (299, "Unknown"), (999, "Unknown")]
)
def test_every_status_has_a_reason(status, phrase):
    assert reason(status) == phrase


@pytest.mark.parametrize(
    ("status", "has"),
    [
        (100, False),
        (101, False),
        (199, False),
        (200, True),
        (204, False),
        (205, False),
        (206, True),
        (304, False),
        (404, True),
    ],
)
def test_some_answers_never_have_a_body(status, has):
    """RFC 9110 sections 6.4.1, 15.3.5, 15.3.6, 15.4.5."""
    assert has_message_body(status) is has
