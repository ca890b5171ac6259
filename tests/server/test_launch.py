"""How a worker is started, and when an application is the same in two processes."""

import os
import subprocess
import sys

import pytest

from sanicish import Blueprint, Sanic, text
from sanicish.server.launch import Launch, NoWorkers, outline

PROGRAM = """
import re
from sanicish import Blueprint, Sanic, text
from sanicish.server.launch import outline
from sanicish.views import HTTPMethodView

app = Sanic("shop", config={"NAMES": {"a", "b", "c"}, "PATTERN": re.compile("x"), "RATE": 0.5})
shop = Blueprint("shop", url_prefix="/shop", host="a.example")

class View(HTTPMethodView):
    async def get(self, request):
        return text("")

    post = get

@shop.route("/<id:int>", methods={"GET", "POST", "PUT", "DELETE"})
async def item(request, id):
    return text("")

shop.add_route(View.as_view(), "/view/")
shop.on_request(lambda request: None)
app.blueprint(shop)
app.static("/files", "/tmp")
app.ctx.database = object()
app.exception(ValueError, KeyError)(lambda request, error: text(""))
app.signal("http.lifecycle.complete")(lambda **told: None)
app.add_task(lambda app: None)
app.compress("gzip")
print(outline(app))
"""


def test_an_application_is_the_same_in_every_process():
    found = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert len(found) == 1 and len(found.pop()) == 65


def make():
    made = Sanic("shop", configure_logging=False, register=False, load_env=False)
    made.get("/", name="home")(lambda request: text(""))
    return made


def another(*args, **kwargs):
    """A handler."""


CHANGES = [
    lambda app: app.config.update(EXTRA=1),
    lambda app: setattr(app.ctx, "database", 1),
    lambda app: app.get("/other")(another),
    lambda app: app.get("/<id>", name="other")(another),
    lambda app: app.on_request(another),
    lambda app: app.on_response(another),
    lambda app: app.before_server_start(another),
    lambda app: app.exception(ValueError)(another),
    lambda app: app.blueprint(Blueprint("empty")),
    lambda app: app.signal("own.signal.here")(another),
    lambda app: app.add_task(another),
    lambda app: app.static("/files", "."),
    lambda app: app.compress(),
    lambda app: app.context_processor(another),
    lambda app: setattr(app, "dumps", another),
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_else_it_is_told_makes_another_one(change):
    changed = make()
    assert outline(changed) == outline(make())
    change(changed)
    assert outline(changed) != outline(make())


def test_a_test_is_no_place_to_start_workers_from():
    with pytest.raises(NoWorkers, match=r"and that is pytest: use app\.test_client, run\(single_process=True\), or "):
        Launch(make(), {})
