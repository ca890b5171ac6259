"""Programs that are started in processes of their own, and ended whatever becomes of the test."""

import os
import sys

import pytest

from tests.doubles.program import Program


@pytest.fixture
def start(tmp_path):
    """Write files and start a command."""
    programs = []

    def start(*command, stdin=None, executable=sys.executable, env=None, **files):
        for name, source in files.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(source)
        programs.append(Program(executable, *command, cwd=tmp_path, stdin=stdin, env={**os.environ, **(env or {})}))
        return programs[-1]

    yield start
    for program in programs:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait(10)
        program.process.stdout.close()
