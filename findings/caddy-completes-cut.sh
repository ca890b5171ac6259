#!/bin/sh
# Caddy 2.6.2 as a proxy ends a chunked response that its origin has cut as if it were complete.
#
# Guess: the connection of the client is closed without the last chunk, as nginx, HAProxy, Apache, Varnish and Squid do.
# Seen with Debian's caddy 2.6.2-5 over HTTP/1.1; the origin sends the head, one chunk or half of its Content-Length, and
# closes the connection:
#
#   the origin's framing     the client gets
#   chunked                  the chunk and the last chunk "0" (complete; curl exits with 0)
#   Content-Length           less than was promised (cut; curl exits with 18)
#
# Caddy logs "aborting with incomplete response", yet the end of its own chunked body goes out. So behind it only a length
# shows a client that a download broke.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq caddy=2.6.2-5
dpkg -x caddy_2.6.2-5_*.deb caddy
cat > ask.py <<'PYTHON'
import os
import socket
import subprocess
import sys
import threading
import time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
FRAMED = {
    "/chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n",
    "/length": HEAD + b"Content-Length: 10\r\n\r\nbegun",
}


def answer(origin):
    while True:
        client, _ = origin.accept()
        with client:
            client.sendall(FRAMED[client.recv(65_536).split()[1].decode()])
            time.sleep(0.2)


def ask(address, path):
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path.encode())
        data = b""
        while piece := client.recv(65_536):
            data += piece
    return data.partition(b"\r\n\r\n")[2]


origin = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=answer, args=(origin,), daemon=True).start()
with socket.create_server(("127.0.0.1", 0)) as free:
    front = free.getsockname()
with open("Caddyfile", "w") as file:
    file.write(
        "{\n\tadmin off\n}\n\n"
        f"http://:{front[1]} {{\n\tbind 127.0.0.1\n\treverse_proxy 127.0.0.1:{origin.getsockname()[1]}\n}}\n"
    )
home = {**os.environ, "HOME": os.getcwd(), "XDG_CONFIG_HOME": os.getcwd(), "XDG_DATA_HOME": os.getcwd()}
caddy = subprocess.Popen(
    ["caddy/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", "Caddyfile"], stderr=subprocess.DEVNULL, env=home
)
try:
    for _ in range(400):
        try:
            socket.create_connection(front, timeout=20).close()
            break
        except OSError:
            time.sleep(0.05)
    seen = {path: ask(front, path) for path in FRAMED}
finally:
    caddy.terminate()
    caddy.wait(20)
print(seen)
expected = {"/chunked": b"5\r\nbegun\r\n0\r\n\r\n", "/length": b"begun"}
sys.exit(0 if seen == expected else f"this has changed: {seen}")
PYTHON
python3 ask.py
