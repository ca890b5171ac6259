"""zsync, which fetches the parts of a file that changed by requests for several ranges."""

import random
import shutil
import subprocess

import pytest

from tests.doubles.command import end, started

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("zsync") is None, reason="zsync is not installed (apt-get install zsync)"),
]


def changed(data, places):
    """The same bytes but for 5,000 of them at each of so many places."""
    data = bytearray(data)
    for place in range(places):
        start = (2 * place + 1) * len(data) // (2 * places)
        data[start : start + 5_000] = random.Random(place).randbytes(5_000)
    return bytes(data)


@pytest.mark.parametrize("places", [1, 9, 100])
def test_changed_parts_are_fetched_and_the_file_is_whole(tmp_path, monkeypatch, places):
    monkeypatch.chdir(tmp_path)
    old = random.Random("zsync").randbytes(4_000_000)
    new = changed(old, places)
    (tmp_path / "old.bin").write_bytes(old)
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "new.bin").write_bytes(new)
    subprocess.run(
        ["zsyncmake", "-u", "new.bin", "-o", folder / "new.bin.zsync", folder / "new.bin"], check=True, timeout=30
    )
    server = started("--simple", folder, "-p", 0)
    try:
        url = server.stdout.readline().split(" on ")[1].split(" (")[0]
        subprocess.run(["zsync", "-q", "-i", "old.bin", f"{url}/new.bin.zsync"], check=True, timeout=30)
    finally:
        end(server)
    assert (tmp_path / "new.bin").read_bytes() == new
