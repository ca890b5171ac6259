"""Clients for tests, over real sockets: Sanic's, which is called from outside of a loop, and one that streams."""

from sanicish.testing.client import SanicTestClient
from sanicish.testing.messages import TestResponse
from sanicish.testing.streaming import TestClient, TestConnection

__all__ = ["SanicTestClient", "TestClient", "TestConnection", "TestResponse"]
