"""ASGI applications of other frameworks, served here: mounted under a path, or as the whole application.

The application gets a scope, ``receive`` and ``send`` as from any ASGI server. What it sends becomes an ordinary
response, so middleware, logs, timeouts and backpressure apply to it. Nothing here knows sockets or bytes of HTTP.
"""

from sanicish.hosted.mounting import Asgi, is_asgi, mount

__all__ = ["Asgi", "is_asgi", "mount"]
