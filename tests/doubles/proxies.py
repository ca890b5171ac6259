"""Proxies as a user runs them: the real programs with the recipes of ``deploy/``, but for addresses."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["PROXIES", "Proxy", "running"]

DEPLOY = Path(__file__).parents[2] / "deploy"
PATH = f"{os.environ['PATH']}:/usr/sbin"
PATIENCE = 20.0


class Proxy(NamedTuple):
    """A proxy, its recipe, and how it is started with a recipe at a path in a folder."""

    program: str
    recipe: str
    command: Callable[[str, Path], list[str]]
    uploads_in_pieces: bool = True  # what arrives of an upload is passed on at once
    hides_cuts: frozenset[str] = frozenset()  # framings whose cut looks complete to a client of HTTP/1.1
    runs_of_slow: int = 1  # how often a GET runs that takes longer than the proxy waits

    @property
    def path(self) -> str | None:
        """Where it is installed, if it is."""
        return shutil.which(self.program, path=PATH)


PROXIES = {
    "nginx": Proxy("nginx", "nginx.conf", lambda recipe, folder: ["-p", str(folder), "-c", recipe]),
    "HAProxy": Proxy("haproxy", "haproxy.cfg", lambda recipe, folder: ["-db", "-f", recipe]),
    "Apache": Proxy(
        "apache2",
        "apache.conf",
        lambda recipe, folder: ["-d", str(folder), "-f", recipe, "-D", "FOREGROUND"],
        uploads_in_pieces=False,
    ),
    "Varnish": Proxy("varnishd", "varnish.vcl", lambda recipe, folder: ["-F", "-n", str(folder / "v"), "-f", recipe]),
    "Squid": Proxy("squid", "squid.conf", lambda recipe, folder: ["-N", "-f", recipe], runs_of_slow=2),
    "Caddy": Proxy(
        "caddy",
        "Caddyfile",
        lambda recipe, folder: ["run", "--adapter", "caddyfile", "--config", recipe],
        hides_cuts=frozenset({"chunked"}),
    ),
}


def free_port() -> int:
    """A port that nobody listens on now; these programs cannot be given a socket, or tell the port of 0."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def rewritten(text: str, name: str, front: int, replicas: list[int]) -> str:
    """A recipe with other addresses; with one replica it stands for both."""
    first, second = replicas[0], replicas[-1]
    if name == "Varnish":
        text = text.replace('"8001"', f'"{first}"').replace('"8002"', f'"{second}"')
    if name == "Squid":  # two peers need two addresses
        text = text.replace("parent 8001 ", f"parent {first} ")
        second_line = next(line for line in text.splitlines() if "parent 8002 " in line)
        other = second_line.replace("parent 8002 ", f"parent {second} ")
        text = text.replace(second_line, other if second != first else "")
        text = text.replace("http_port 8000 ", f"http_port 127.0.0.1:{front} ")
    text = text.replace("127.0.0.1:8001", f"127.0.0.1:{first}")
    if second == first:
        text = "\n".join(line for line in text.splitlines() if "127.0.0.1:8002" not in line) + "\n"
    text = text.replace("127.0.0.1:8002", f"127.0.0.1:{second}")
    listens = {"nginx": "listen 8000;", "Apache": "Listen 8000", "Caddy": "\n:8000 {"}
    if name in listens:
        assert listens[name] in text
    text = text.replace("listen 8000;", f"listen 127.0.0.1:{front};").replace(
        "Listen 8000", f"Listen 127.0.0.1:{front}"
    )
    return text.replace("\n:8000 {", f"\nhttp://:{front} {{\n\tbind 127.0.0.1")


class running:
    """A proxy in front of replicas at these ports, for as long as the ``with`` lasts; gives its address."""

    def __init__(self, name: str, replicas: list[int], change: Callable[[str], str] = lambda text: text) -> None:
        self.proxy = proxy = PROXIES[name]
        self.address = ("127.0.0.1", free_port())
        self.folder = tempfile.TemporaryDirectory(prefix="proxy-", ignore_cleanup_errors=True)
        folder = Path(self.folder.name)
        folder.chmod(0o777)  # some become another user
        text = rewritten((DEPLOY / proxy.recipe).read_text("utf-8"), name, self.address[1], replicas)
        (folder / proxy.recipe).write_text(change(text))
        arguments = proxy.command(str(folder / proxy.recipe), folder)
        if name == "Varnish":
            arguments += ["-a", f"127.0.0.1:{self.address[1]}"]
        self.output = (folder / "output").open("w+")
        self.process = subprocess.Popen(
            [str(proxy.path), *arguments],
            stdout=self.output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={
                **os.environ,
                "PATH": PATH,
                "HOME": str(folder),
                "XDG_CONFIG_HOME": str(folder),
                "XDG_DATA_HOME": str(folder),
                "BIND": f"127.0.0.1:{self.address[1]}",
                **{f"REPLICA_{number}": f"127.0.0.1:{port}" for number, port in enumerate(replicas, 1)},
                **({"REPLICA_2": f"127.0.0.1:{replicas[0]}"} if len(replicas) == 1 else {}),
            },
        )

    def __enter__(self) -> tuple[str, int]:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(self.address, timeout=PATIENCE).close()
                return self.address
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    raise AssertionError(self.said) from None
                time.sleep(0.02)

    @property
    def said(self) -> str:
        """All that it has written."""
        return Path(self.output.name).read_text()

    def __exit__(self, *error: object) -> None:
        if self.proxy.program == "squid":  # it takes three seconds to stop
            self.process.kill()
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
        self.folder.cleanup()
