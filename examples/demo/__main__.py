"""Start the demo: a PostgreSQL, a large file, the server; Ctrl-C stops all of it."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from examples.demo.app import ROWS, make_app
from sanicish.postgres import temporary

TOUR = """\
sanicish demo. Open {url}/ in a browser, or try in another terminal:

  upload any file        curl -T bigfile {url}/upload
  echo both ways         (echo one; sleep 1; echo two) | curl -N -T - -X POST {url}/echo
  a stream without end   curl -N {url}/clock
  {rows:,} rows         curl {url}/orders.csv | tail -1
  a file of 1 GiB        curl {url}/large -o /dev/null
"""


def main() -> int:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="demo")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--dsn", help="a PostgreSQL of your own (default: a temporary one)")
    options = parser.parse_args()
    with temporary(options.dsn) as database, tempfile.TemporaryDirectory() as folder:
        large_file = Path(folder, "large.bin")
        with large_file.open("wb") as out:
            out.truncate(1 << 30)  # sparse: it takes no room on the disk
        os.utime(large_file, (0, 0))  # a file that rests has a strong ETag, and so can be resumed
        app = make_app(database.dsn, large_file)

        @app.after_server_start
        async def show(app) -> None:
            app.ctx.tour = TOUR.format(url=app.serve_location, rows=ROWS)
            print(app.ctx.tour, flush=True)

        try:
            app.run(options.host, options.port)
        except OSError as error:
            if hasattr(error, "__notes__"):
                raise  # not the address but a listener failed, and it has said which
            reason = (error.strerror or str(error)).rpartition(": ")[2]
            print(f"demo: cannot listen on {options.host}:{options.port}: {reason}", file=sys.stderr)
            print(f"      choose another port: make demo PORT={options.port + 1}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
