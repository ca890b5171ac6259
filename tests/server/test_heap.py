"""What the heap keeps."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from sanicish.server.heap import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    for _ in range(200):
        buffers = [bytes(262_144 + n) for n in range(4)]
work()
before = faults()
work()
print(faults() - before)
"""


def faults(way):
    done = subprocess.run([sys.executable, "-c", PROGRAM, way], capture_output=True, text=True, check=True, timeout=30)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")
def test_buffers_that_were_freed_are_used_again_without_asking_the_system():
    assert faults("kept") < 100 < faults("not kept")
