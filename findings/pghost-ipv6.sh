#!/bin/sh
# PGHOST with an IPv6 address means one thing to libpq and another to asyncpg.
#
# Guess, after reading the code of asyncpg: it splits at the first colon, libpq does not, so ::1 fails in one of them.
# Seen on Python 3.11 with psycopg 3.2.10 and asyncpg 0.32.0, nothing listening on the port:
#
#   PGHOST      libpq                                    asyncpg
#   ::1         connection to ::1 refused                ValueError: invalid literal for int() with base 10: ':1'
#   [::1]       could not translate host name "[::1]"     connection to ::1 refused
#
# So no spelling works for both, and a program that hands its surroundings on has to know which driver reads them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check asyncpg==0.32.0 'psycopg[binary]==3.2.10'
cat > "$folder/ask.py" <<'PYTHON'
import asyncio
import os
import sys

import asyncpg
import psycopg

os.environ["PGPORT"] = "9"
said = {}
for host in ("::1", "[::1]"):
    os.environ["PGHOST"] = host
    for name, ask in (
        ("libpq", lambda: psycopg.connect("user=a dbname=a connect_timeout=2")),
        ("asyncpg", lambda: asyncio.run(asyncpg.connect(user="a", database="a", timeout=2))),
    ):
        try:
            ask()
        except Exception as error:
            said[host, name] = f"{type(error).__name__}: {error}"
            print(host, name, said[host, name].splitlines()[0], sep="\t")
unread = {key for key, text in said.items() if "invalid literal" in text or "translate" in text or "resolve" in text}
sys.exit(0 if unread == {("::1", "asyncpg"), ("[::1]", "libpq")} else f"this has changed: {unread}")
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
