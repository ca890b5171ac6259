"""Names that code written for Sanic imports from ``sanic.helpers``, and for Quart from ``quart.helpers``."""

from sanicish.constants import STATUS_CODES, has_message_body
from sanicish.context import stream_with_context

__all__ = ["STATUS_CODES", "has_message_body", "stream_with_context"]
