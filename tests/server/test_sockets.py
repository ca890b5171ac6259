"""Where a server listens: several addresses, unix sockets, sockets of others."""

import errno
import os
import socket
import stat

import pytest

from sanicish.config import DEFAULTS
from sanicish.server.sockets import Listening


@pytest.fixture
def listen():
    opened = []

    def on(*where, **options):
        opened.append(Listening.on(*where, **options))
        return opened[-1]

    yield on
    for one in opened:
        one.close()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "s")


@pytest.fixture
def two_addresses(monkeypatch):
    """A name that is 127.0.0.1 and ::1."""

    def resolve(host, port, **_):
        assert host == "both"
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_host_of_several_addresses_is_listened_on_at_all_of_them_on_one_port(listen, two_addresses):
    listening = listen("both", 0)
    names = [one.getsockname()[:2] for one in listening.sockets]
    assert [host for host, _ in names] == ["127.0.0.1", "::1"]
    assert names[0][1] == names[1][1] > 0
    assert listening.url(tls=True) == f"https://127.0.0.1:{names[0][1]}"


def test_address_that_this_machine_does_not_have_is_left_out(listen, monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("192.0.2.1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert [one.getsockname()[0] for one in listen("some", 0).sockets] == ["127.0.0.1"]


def test_if_one_address_is_taken_none_is_kept(listen, two_addresses):
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address already in use"):
            listen("both", port)
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))


def test_every_address_of_the_machine_is_listened_on_for_an_empty_host(listen):
    assert "0.0.0.0" in [one.getsockname()[0] for one in listen("", 0).sockets]


def test_port_may_be_shared_by_choice_only(listen):
    first = listen("127.0.0.1", 0, reuse_port=True)
    second = listen("127.0.0.1", first.address[1], reuse_port=True)
    assert first.address == second.address
    with pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", first.address[1])


def test_sockets_of_others_are_taken_as_they_are(listen):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        listening = listen(None, None, None, [one, two])
        assert listening.sockets == (one, two) and listening.address == one.getsockname()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_unix_socket_has_the_mode_that_was_asked_for(listen, path, mode):
    listen(None, None, path, mode=mode)
    assert stat.S_IMODE(os.stat(path).st_mode) == mode


def test_unix_socket_is_for_its_owner_and_group_by_default(listen, path):
    assert DEFAULTS["UNIX_MODE"] == 0o660
    listen(None, None, path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660


def test_unix_socket_is_told_by_its_own_name(listen, path):
    listening = listen(None, None, path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        accepted, _ = listening.sockets[0].accept()
        with accepted:
            assert accepted.getsockname() == path
    assert listening.url(tls=False) == f"unix:{path}"


def test_unix_socket_on_which_somebody_listens_is_not_replaced(listen, path):
    first = listen(None, None, path)
    with pytest.raises(OSError, match="another server listens") as caught:
        listen(None, None, path)
    assert caught.value.errno == errno.EADDRINUSE
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    assert first.address == path


def test_busy_server_whose_backlog_is_full_is_not_taken_for_dead(path):
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)
        with pytest.raises(OSError, match="another server listens"):
            Listening.on(None, None, path)


def test_unix_socket_of_a_successor_is_not_taken_away(listen, path):
    first = listen(None, None, path)
    os.unlink(path)
    listen(None, None, path)
    first.close()
    assert os.path.exists(path)


# The end


def test_connections_that_were_made_can_be_accepted_and_no_more_are_made(listen):
    listening = listen("127.0.0.1", 0)
    with socket.socket() as early, socket.socket() as late:
        early.connect(listening.address)
        listening.turn_away()
        assert listening.has_waiting()
        late.settimeout(0.1)
        with pytest.raises(TimeoutError):
            late.connect(listening.address)
        accepted, _ = listening.sockets[0].accept()
        with accepted:
            assert not listening.has_waiting()
            early.sendall(b"hello")
            assert accepted.recv(5) == b"hello"


@pytest.mark.slow
def test_who_is_turned_away_is_refused_when_it_tries_again(listen):
    listening = listen("127.0.0.1", 0)
    with socket.socket() as late:
        late.setblocking(False)
        listening.turn_away()
        late.connect_ex(listening.address)
        listening.close()
        late.settimeout(10)
        with pytest.raises(ConnectionRefusedError):
            late.recv(1)


def test_a_unix_socket_is_not_found_any_more_and_who_has_connected_can_be_accepted(listen, path):
    listening = listen(None, None, path)
    with socket.socket(socket.AF_UNIX) as early, socket.socket(socket.AF_UNIX) as late:
        early.connect(path)
        listening.turn_away()
        assert listening.has_waiting()
        with pytest.raises(FileNotFoundError):
            late.connect(path)


def test_sockets_of_others_go_on_to_listen(listen):
    with socket.create_server(("127.0.0.1", 0)) as given, socket.socket() as client:
        listening = listen(None, None, sock=given.dup())
        listening.turn_away()
        client.settimeout(5)
        client.connect(given.getsockname())
