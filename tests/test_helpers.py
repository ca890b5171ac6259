"""Names that code written for Sanic imports from its helpers."""

from sanicish import constants, helpers


def test_helpers_are_the_constants():
    assert helpers.STATUS_CODES is constants.STATUS_CODES
    assert helpers.has_message_body is constants.has_message_body
