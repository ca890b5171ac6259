"""Two replicas behind HAProxy, as ``deploy/haproxy.cfg`` says, under load while they are restarted one after the other."""

import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.doubles.command import started

HAPROXY = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
RECIPE = Path(__file__).parents[2] / "deploy" / "haproxy.cfg"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed (apt-get install haproxy)"),
]

PROGRAM = """
import asyncio, hashlib, os
from sanicish import Sanic, text

app = Sanic("replica")

@app.get("/")
async def who(request):
    return text(f"{os.getpid()} {request.remote_addr}")

@app.get("/download")
async def download(request):
    response = await request.respond(headers={"Content-Length": str(60 * 10_000)}, content_type="text/plain")
    for number in range(60):
        await response.send(b"%02d" % number * 5_000)
        await asyncio.sleep(0.05)

@app.post("/upload", stream=True)
async def upload(request):
    digest = hashlib.sha256()
    async for piece in request.stream:
        digest.update(piece)
    return text(digest.hexdigest())
"""
DOWNLOAD = b"".join(b"%02d" % number * 5_000 for number in range(60))
UPLOAD = os.urandom(1_500_000)
DIGEST = hashlib.sha256(UPLOAD).hexdigest().encode()


class Replica:
    """One server, which comes back on the same port when it is restarted."""

    def __init__(self, folder, *options):
        self.folder, self.options, self.port = folder, options, 0
        self.start()

    def start(self):
        self.process = started("replica:app", "-p", self.port, *self.options, cwd=self.folder)
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:([0-9]+)", line)
        assert found, line + self.process.stdout.read()
        self.port = int(found[1])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        said = self.process.communicate(timeout=30)[0]
        assert self.process.returncode == 0, said


@pytest.fixture
def replicas(tmp_path):
    (tmp_path / "replica.py").write_text(PROGRAM)
    options = ("--ready-path", "--drain-delay", "1.5", "--keep-alive", "75", "--proxies-count", "1", "--no-access-log")
    with ExitStack() as stack:
        made = []
        for _ in range(2):
            made.append(Replica(tmp_path, *options))
            stack.callback(made[-1].stop)
        yield made


@contextmanager
def haproxy(replicas, folder, change=lambda text: text):
    """HAProxy in front of them; gives its address."""
    (folder / "haproxy.cfg").write_text(change(RECIPE.read_text("utf-8")))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as front:
        process = subprocess.Popen(
            [HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")],
            pass_fds=[front.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "BIND": f"fd@{front.fileno()}",
                **{f"REPLICA_{n}": f"127.0.0.1:{one.port}" for n, one in enumerate(replicas, 1)},
            },
        )
        try:
            yield front.getsockname()
        finally:
            process.terminate()
            process.wait(20)


class Load:
    """Clients that ask for ever; what they were not given is in ``failed``."""

    def __init__(self, address):
        self.address = address
        self.done = threading.Event()
        self.failed, self.answered = [], {"short": 0, "kept": 0, "download": 0, "upload": 0}
        wanted = [("short", self.short)] * 3 + [("kept", self.kept)] + [("download", self.download)] * 3
        wanted.append(("upload", self.upload))
        self.threads = [threading.Thread(target=self.repeat, args=one) for one in wanted]

    def __enter__(self):
        for one in self.threads:
            one.start()
        return self

    def __exit__(self, *error):
        self.done.set()
        for one in self.threads:
            one.join(30)

    def repeat(self, kind, ask):
        connection = None
        while not self.done.is_set():
            try:
                if connection is None or kind != "kept":
                    connection = http.client.HTTPConnection(*self.address, timeout=20)
                right, seen = ask(connection)
                self.answered[kind] += 1
                if not right:
                    self.failed.append((kind, seen))
            except (OSError, http.client.HTTPException) as error:
                self.failed.append((kind, repr(error)))
                connection = None
            finally:
                if connection is not None and kind != "kept":
                    connection.close()
            time.sleep(0.005)
        if connection is not None:
            connection.close()

    def short(self, connection):
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
        return answer.status == 200 and body.endswith(b" 127.0.0.1"), (answer.status, body[:200])

    kept = short

    def download(self, connection):
        connection.request("GET", "/download")
        answer = connection.getresponse()
        body = answer.read()
        return answer.status == 200 and body == DOWNLOAD, (answer.status, len(body))

    def upload(self, connection):
        connection.request("POST", "/upload", body=UPLOAD)
        answer = connection.getresponse()
        body = answer.read()
        return answer.status == 200 and body == DIGEST, (answer.status, body[:200])


def wait_for_both(address, replicas):
    deadline, seen = time.monotonic() + 20, set()
    while seen < {one.process.pid for one in replicas}:
        assert time.monotonic() < deadline, seen
        connection = http.client.HTTPConnection(*address, timeout=20)
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status == 200:
            seen.add(int(body.split()[0]))


def without_retries(text):
    """HAProxy shall not mend what the replicas break."""
    return text.replace("    retries 3\n    option redispatch\n    retry-on conn-failure\n", "    retries 0\n")


def test_rolling_restart_under_load_loses_no_request_and_cuts_no_download(replicas, tmp_path):
    with haproxy(replicas, tmp_path, without_retries) as address:
        wait_for_both(address, replicas)
        with Load(address) as load:
            for replica in replicas:
                replica.stop()
                replica.start()
                wait_for_both(address, replicas)
    assert load.failed == []
    assert load.answered["short"] > 100 and load.answered["download"] >= 3 and load.answered["upload"] >= 3


def by_proxy_protocol(text):
    """One replica, which is told of its clients by a preamble."""
    assert "option forwardfor" in text
    text = text.replace("    option forwardfor\n", "").replace('    server two "${REPLICA_2}"\n', "")
    return text.replace(
        '    server one "${REPLICA_1}"\n', '    server one "${REPLICA_1}" send-proxy-v2 check-send-proxy\n'
    )


def test_client_is_known_through_the_proxy_protocol(tmp_path):
    (tmp_path / "replica.py").write_text(PROGRAM.replace("request.remote_addr", "request.ip"))
    replica = Replica(tmp_path, "--ready-path", "--proxy-protocol")
    try:
        with haproxy([replica], tmp_path, by_proxy_protocol) as address:
            wait_for_both(address, [replica])
            connection = http.client.HTTPConnection(*address, timeout=20, source_address=("127.0.0.5", 0))
            connection.request("GET", "/")
            assert connection.getresponse().read().endswith(b" 127.0.0.5")
            connection.close()
    finally:
        replica.stop()
