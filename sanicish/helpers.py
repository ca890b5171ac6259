"""Names that code written for Sanic imports from ``sanic.helpers``."""

from sanicish.constants import STATUS_CODES, has_message_body

__all__ = ["STATUS_CODES", "has_message_body"]
