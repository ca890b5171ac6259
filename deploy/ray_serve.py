"""An application on Ray Serve, for who has a Ray cluster already: serve run deploy.ray_serve:shop

Tried with Ray 2.60. Ray's own proxy speaks HTTP and hands each request to a replica by ASGI; what the guide on ASGI says of other servers
holds here. Needs ``pip install "ray[serve]"``.
"""

from ray import serve

from sanicish import Sanic


def make_app() -> Sanic:
    """Called in each replica, so that nothing of the application has to be sent there."""
    from examples.hello import app  # noqa: PLC0415 - your own application, imported in the replica

    return app


@serve.deployment(num_replicas=2, max_ongoing_requests=100, graceful_shutdown_timeout_s=20)
@serve.ingress(make_app)
class Shop:
    """A replica; what it needs beside the application (a model, say) is made in its ``__init__``."""


shop = Shop.bind()
