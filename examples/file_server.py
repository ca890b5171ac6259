"""Serve the files of a folder.

python examples/file_server.py /srv/www
curl -O http://127.0.0.1:8000/large.iso
"""

import sys

from sanicish import Sanic


def make_app(folder):
    app = Sanic("files")
    app.static("/", folder, index="index.html")
    return app


if __name__ == "__main__":
    make_app(sys.argv[1] if len(sys.argv) > 1 else ".").run()
