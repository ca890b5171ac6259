#!/bin/sh
# pytest-timeout does not end a test that waits on uvloop.
#
# Guess: its default method, an alarm whose handler raises, ends a hanging test on every event loop.
# Seen on Python 3.11 with pytest 9.0.2, pytest-asyncio 1.4.0, pytest-timeout 2.4.0 and uvloop 0.23.0; the test below may
# take one second, and its wait would take six:
#
#   loop       what happens
#   asyncio    after 1 s: Failed: Timeout (>1.0s) from pytest-timeout
#   uvloop     after 6 s: passed; the exception is a line of the log, "Exception in callback Loop._read_from_self"
#
# uvloop runs handlers of signals in a callback of the loop and gives what they raise to the loop's exception handler,
# but for KeyboardInterrupt and SystemExit. So a test that waits for ever hangs the run, and no line says which one it is.
# timeout_method=thread does end it (and the whole run with it).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pytest==9.0.2 pytest-asyncio==1.4.0 pytest-timeout==2.4.0 uvloop==0.23.0
cat > "$folder/conftest.py" <<'PYTHON'
import asyncio
import os

import uvloop


def pytest_asyncio_loop_factories(config, item):
    name = os.environ["LOOP"]
    return {name: {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[name]}
PYTHON
cat > "$folder/test_waiting.py" <<'PYTHON'
import asyncio


async def test_that_waits():
    await asyncio.sleep(6)
PYTHON
cd "$folder"
for loop in asyncio uvloop; do
    printf '%s: ' "$loop"
    LOOP=$loop venv/bin/python -m pytest -p no:cacheprovider -o asyncio_mode=auto --timeout 1 > "$loop.txt" 2>&1 || true
    tail -n 1 "$loop.txt"
done
grep -q '1 failed' asyncio.txt && grep -q 'Timeout' asyncio.txt || { echo "this has changed on asyncio"; exit 1; }
grep -q '1 passed' uvloop.txt || { echo "this has changed on uvloop"; exit 1; }
