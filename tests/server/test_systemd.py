"""What systemd passes and is told."""

import os
import socket

import pytest

from sanicish.server.systemd import notify, passed_sockets


@pytest.mark.parametrize("pid", [None, "1", ""])
def test_sockets_for_another_process_are_left_alone(monkeypatch, pid):
    if pid is not None:
        monkeypatch.setenv("LISTEN_PID", pid)
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert passed_sockets() == []
    assert os.environ["LISTEN_FDS"] == "1"


def test_what_is_no_number_of_sockets_is_none(monkeypatch):
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "many")
    assert passed_sockets() == []


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(monkeypatch, tmp_path, abstract):
    name = f"@sanicish-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name[1:]}" if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"


def test_a_manager_that_is_gone_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
