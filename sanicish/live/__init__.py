"""What is open now: as data, and as a page for whoever runs the server."""

from sanicish.live.view import live_view

__all__ = ["live_view"]
