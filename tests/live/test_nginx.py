"""A replica behind nginx, as ``deploy/nginx.conf`` says: what is streamed passes as it comes, in both directions."""

import http.client
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.doubles.command import started
from tests.waiting import wait_until

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
RECIPE = Path(__file__).parents[2] / "deploy" / "nginx.conf"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)"),
]

PROGRAM = """
from sanicish import Sanic, text
from sanicish.response import file

app = Sanic("replica")

@app.post("/echo", stream=True)
async def echo(request):
    response = await request.respond(content_type="text/plain")
    async for piece in request.stream:
        await response.send(piece.upper())

@app.get("/file")
async def download(request):
    return await file("data.bin")

@app.get("/who")
async def who(request):
    return text(f"{request.remote_addr} {request.host} {request.id}")
"""


class Local(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.host)


@pytest.fixture
def front(tmp_path):
    """The path of the socket that nginx listens on."""
    (tmp_path / "replica.py").write_text(PROGRAM)
    (tmp_path / "data.bin").write_bytes(bytes(range(256)) * 1_000)
    replica = started("replica:app", "-p", 0, "--proxies-count", 1, "--no-access-log", cwd=tmp_path, stderr=None)
    back = replica.stdout.readline().split("http://")[1].split()[0]
    front = str(tmp_path / "front")
    recipe = RECIPE.read_text("utf-8").replace("listen 8000;", f"listen unix:{front};")
    recipe = recipe.replace("server 127.0.0.1:8001 max_fails=0;", f"server {back};")
    recipe = recipe.replace("        server 127.0.0.1:8002 max_fails=0;\n", "")
    (tmp_path / "nginx.conf").write_text(recipe)
    nginx = subprocess.Popen([NGINX, "-p", str(tmp_path), "-c", "nginx.conf"], stderr=subprocess.DEVNULL)
    wait_until(lambda: os.path.exists(front) or nginx.poll() is not None)
    assert nginx.poll() is None
    os.chmod(front, 0o666)
    yield front
    for one in (nginx, replica):
        one.terminate()
        one.communicate(timeout=20)


def test_what_is_sent_and_answered_passes_piece_by_piece(front):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(front)
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        seen = b""
        for word in (b"one", b"two", b"three"):
            client.sendall(b"%x\r\n%b\r\n" % (len(word), word))
            while word.upper() not in seen:
                piece = client.recv(65_536)
                assert piece, seen
                seen += piece
        client.sendall(b"0\r\n\r\n")
        while piece := client.recv(65_536):
            seen += piece
    assert seen.endswith(b"\r\n0\r\n\r\n")


def test_ranges_pass_through(front):
    connection = Local(front)
    connection.request("GET", "/file", headers={"Host": "a", "Range": "bytes=1000-1009"})
    answer = connection.getresponse()
    assert answer.status == 206 and answer.headers["Content-Range"] == "bytes 1000-1009/256000"
    assert answer.read() == (bytes(range(256)) * 4)[1000:1010]
    connection.close()


def test_the_replica_knows_what_was_asked_and_by_which_name(front):
    connection = Local(front)
    connection.request("GET", "/who", headers={"Host": "shop.example", "X-Forwarded-For": "192.0.2.9"})
    said = connection.getresponse().read().decode()
    address, host, name = said.split()
    assert address == "unix:" or address != "192.0.2.9", "only what nginx adds is believed"
    assert host == "shop.example" and len(name) >= 32
    connection.close()
