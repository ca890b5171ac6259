"""The command line as a user starts it: a process of its own, whose lines can be read as they come."""

import os
import subprocess
import sys

__all__ = ["end", "started"]


def started(*arguments, stderr=subprocess.STDOUT, env=None, **options):
    """``sanicish`` with these arguments; ``env`` comes on top of the environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "sanicish", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        **options,
    )


def end(process):
    """Stop it by SIGTERM, which it must take well."""
    process.terminate()
    try:
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()
