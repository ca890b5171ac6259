"""The command line, in processes of its own: what it finds, what it serves, what it says when it cannot."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest
import trustme

from sanicish.app import Sanic
from sanicish.command.cli import CommandError, load_app
from sanicish.command.flags import Parser, settings_of
from tests.doubles.command import started

APPLICATION = """
import os
from sanicish import Sanic, text

app = Sanic("shop")
other = Sanic("other")
not_an_app = 5


class Holder:
    app = app


@app.get("/")
async def hello(request):
    return text(f"{request.scheme} {os.getpid()}")


@app.get("/fail")
async def fail(request):
    raise ValueError("the reason")


def make():
    return other


def make_nothing():
    return None


def make_with(argument):
    return other
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with a few modules; it is the current one, and none of them stays imported."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "server.py").write_text(APPLICATION)
    (tmp_path / "needy.py").write_text("import nowhere_to_be_found\n")
    (tmp_path / "keyless.py").write_text("import os\nos.environ['NOT_SET_ANYWHERE']\n")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "json.py").write_text(APPLICATION)
    (tmp_path / "unreachable.py").write_text(
        "from sanicish import Sanic\napp = Sanic('x')\n"
        "@app.before_server_start\nasync def connect(app):\n    raise ConnectionRefusedError('no database')\n"
    )
    monkeypatch.chdir(tmp_path)
    known, path = set(sys.modules), list(sys.path)
    monkeypatch.setattr(Sanic, "_apps", {})
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - known:
        del sys.modules[name]


# What a name means


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("shop:app", "shop"),
        ("shop:other", "other"),
        ("shop", "shop"),
        ("shop:", "shop"),
        ("shop.app", "shop"),
        ("shop.other", "other"),
        ("shop:Holder.app", "shop"),
        ("shop:make", "other"),
        ("shop.make", "other"),
        ("package.server:app", "shop"),
        ("package.server.app", "shop"),
        ("package.server", "shop"),
        ("shop.py", "shop"),
        ("./shop.py", "shop"),
        ("shop.py:other", "other"),
        ("package/server.py:make", "other"),
    ],
)
def test_application_is_found(place, name, found):
    assert load_app(name).name == found


@pytest.mark.parametrize("name", ["shop:make", "shop.make", "shop.py:make"])
def test_factory_is_called(place, name):
    assert load_app(name, factory=True).name == "other"


def test_file_is_found_by_its_whole_path(place, monkeypatch):
    monkeypatch.chdir("/")
    assert load_app(str(place / "shop.py")).name == "shop"


@pytest.mark.parametrize(
    ("name", "factory", "sentence"),
    [
        ("nope:app", False, "there is no module named nope"),
        ("nope", False, "there is no module named nope"),
        ("nope.app", False, "there is no module named nope.app"),
        ("package.nope:app", False, "there is no module named package.nope"),
        ("shop:nope", False, "shop has no nope"),
        ("package", False, "package has no app"),
        ("package.nope", False, "package.nope has no nope"),
        ("shop:not_an_app", False, "shop:not_an_app is a int, not an application"),
        ("shop:Holder.nope", False, "shop has no Holder.nope"),
        ("shop:make_nothing", False, "shop:make_nothing() is a NoneType, not an application"),
        ("shop:make_with", False, "shop:make_with is a function, not an application"),
        ("shop:app", True, "shop:app is a Sanic, not a function without arguments that makes an application"),
        (
            "shop:make_with",
            True,
            "shop:make_with is a function, not a function without arguments that makes an application",
        ),
        ("nope.py", False, "there is no file nope.py"),
        ("package/nope.py:app", False, "there is no file package/nope.py"),
        ("taken/json.py", False, "taken/json.py cannot be loaded: another module is named json already"),
        ("", False, "'' cannot be the name of a module"),
        (":app", False, "'' cannot be the name of a module"),
        (".shop:app", False, "'.shop' cannot be the name of a module"),
        ("my-shop:app", False, "'my-shop' cannot be the name of a module"),
    ],
)
def test_name_that_means_no_application_is_told_in_a_sentence(place, name, factory, sentence):
    with pytest.raises(CommandError, match=f"^{re.escape(sentence)}$"):
        load_app(name, factory)


@pytest.mark.parametrize("name", ["needy:app", "needy.app", "needy.py"])
def test_what_a_module_fails_to_import_is_its_own_error(place, name):
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        load_app(name)


def test_error_of_a_module_is_not_taken_for_ours(place):
    with pytest.raises(KeyError, match="NOT_SET_ANYWHERE"):
        load_app("keyless:app")


# The command


def command(*arguments, module=True):
    start = (
        [sys.executable, "-m", "sanicish"] if module else [os.path.join(os.path.dirname(sys.executable), "sanicish")]
    )
    return [*start, *map(str, arguments)]


def fails(*arguments, **options):
    """Run a command that must end by itself; its exit code and what it said on standard error."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=30, check=False, **options)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.fixture
def certificate(place):
    issued = trustme.CA().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(place / "cert.pem"))
    issued.private_key_pem.write_to_path(str(place / "key.pem"))
    return "--cert", "cert.pem", "--key", "key.pem"


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["nope:app"], 1, "there is no module named nope"),
        (["shop:nope"], 1, "shop has no nope"),
        (["nope.py"], 1, "there is no file nope.py"),
        (["--simple", "nope"], 1, "nope is no directory"),
        (["shop:app", "--dotfiles"], 1, "--dotfiles goes with --simple"),
        (
            ["shop:app", "--factory"],
            1,
            "shop:app is a Sanic, not a function without arguments that makes an application",
        ),
        (["shop:app", "--cert", "cert.pem"], 1, "--cert and --key go together"),
        (["shop:app", "--cert", "none.pem", "--key", "key.pem"], 1, "there is no file none.pem"),
        (
            ["shop:app", "--cert", "shop.py", "--key", "key.pem"],
            1,
            "cannot use the certificate shop.py with the key key.pem: ",
        ),
        (
            ["shop:app", "-H", "192.0.2.1", "-p", "0"],
            1,
            "cannot listen on 192.0.2.1:0: cannot assign requested address",
        ),
        (["shop:app", "-u", "none/s.sock"], 1, "cannot listen on none/s.sock: No such file or directory"),
        (["shop:app", "-u", "shop.py"], 1, "cannot listen on shop.py: shop.py exists and is no socket"),
        (["shop:app", "-u", "x" * 200], 1, f"cannot listen on {'x' * 200}: AF_UNIX path too long"),
        (["shop:app", "--fd", "99"], 1, "descriptor 99 is no socket: Bad file descriptor"),
        (
            ["shop:app", "-p", "65536"],
            2,
            "argument -p/--port: '65536' is no port; ports are 0 to 65535 (--help tells more)",
        ),
        (["shop:app", "-p", "-1"], 2, "argument -p/--port: "),
        (["shop:app", "-p", "http"], 2, "argument -p/--port: 'http' is no port; "),
        (["shop:app", "--log-level", "loud"], 2, "argument --log-level: invalid choice: 'loud' "),
        (["shop:app", "--drain-delay", "soon"], 2, "argument --drain-delay: 'soon' is no number of seconds; "),
        (["shop:app", "--max-memory", "much"], 2, "argument --max-memory: 'much' is no size; "),
        (["shop:app", "--proxies-count", "-1"], 2, "argument --proxies-count: "),
        (["shop:app", "--unix-mode", "999"], 2, "argument --unix-mode: '999' is no mode; "),
        (["shop:app", "--ready-path", "ready"], 2, "argument --ready-path: 'ready' is no path; it begins with /"),
        (
            ["shop:app", "--trusted-proxies", "10.0.0.1, near"],
            2,
            "argument --trusted-proxies/--proxy-allow-from: 'near' is ",
        ),
        (["shop:app", "-H", "no.such.host.invalid"], 1, "cannot listen on no.such.host.invalid:8000: "),
        (["shop:app", "--reload-dir", "nope"], 1, "there is no directory nope"),
        (["shop:app", "--nonsense"], 2, "unrecognized arguments: --nonsense (--help tells more)"),
        ([], 2, "the following arguments are required: app (--help tells more)"),
    ],
)
def test_failure_is_one_clear_line_and_an_exit_code(place, certificate, arguments, code, line):
    returned, said = fails(*arguments)
    assert said.startswith(f"sanicish: {line}")
    assert (said.count("\n"), returned) == (1, code)


def test_a_setting_that_makes_no_sense_is_one_clear_line(place, monkeypatch):
    monkeypatch.setenv("SANICISH_KEEP_ALIVE_TIMEOUT", "long")
    returned, said = fails("shop:app", "-p", 0)
    assert said == "sanicish: the setting KEEP_ALIVE_TIMEOUT is a number from 0 on or none, not 'long'\n"
    assert returned == 1


@pytest.mark.parametrize("more", [[], ["--workers", "2"]])
def test_trusted_proxies_that_make_no_sense_are_one_clear_line(place, monkeypatch, more):
    monkeypatch.setenv("SANICISH_TRUSTED_PROXIES", "10.0.0.1, near")
    returned, said = fails("shop:app", "-p", 0, *more)
    sentence = "the setting TRUSTED_PROXIES is a list of addresses and networks, unix, or *, not 'near'"
    assert (returned, said) == (1, f"sanicish: {sentence}\n")


@pytest.mark.slow
@pytest.mark.parametrize("more", ["", "--workers 2"])
def test_standard_streams_may_be_closed(place, more):
    """A shell starts it, for nobody else can close them."""
    line = f"exec {sys.executable} -m sanicish shop:app --unix s.sock {more} <&- >&- 2>&-"
    process = subprocess.Popen(["/bin/sh", "-c", line])
    deadline = time.monotonic() + 20
    with socket.socket(socket.AF_UNIX) as client:
        while client.connect_ex("s.sock"):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
    process.terminate()
    assert process.wait(20) == 0


def test_port_in_use_is_one_clear_line(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert fails("shop:app", "-p", port) == (
            1,
            f"sanicish: cannot listen on 127.0.0.1:{port}: address already in use\n",
        )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("needy:app", ["Traceback", "No module named 'nowhere_to_be_found'"]),
        ("keyless:app", ["Traceback", "NOT_SET_ANYWHERE"]),
        ("unreachable:app", ["Traceback", "no database", "in the before_server_start listener connect"]),
    ],
)
def test_error_of_the_application_is_shown_as_it_is(place, name, words):
    code, said = fails(name, "-p", 0)
    assert code == 1
    for word in words:
        assert word in said
    assert "cannot listen" not in said


@pytest.mark.parametrize("module", [True, False])
def test_version_is_told(module):
    done = subprocess.run(command("--version", module=module), capture_output=True, text=True, timeout=30, check=True)
    assert re.fullmatch(r"sanicish [0-9]+\.[0-9]+\.[0-9]+.*\n", done.stdout)


def test_help_names_every_argument():
    done = subprocess.run(command("--help"), capture_output=True, text=True, timeout=30, check=True)
    expected = """
        --host --port --unix --unix-mode --fd --backlog --reuse-port --cert --key --factory --interface --simple
        --shield --no-shield --asgi-spec
        --dotfiles
        --debug --dev --reload --reload-dir --loop --access-log --no-access-log --access-logs --log-level --log-format --log-queue
        --motd --no-motd --version --workers --single-process --max-requests --max-memory --drain-delay
        --limit-body --limit-json --limit-form --limit-head --limit-connections --timeout-request --timeout-upload --timeout-response
        --timeout-write --timeout-stream --timeout-keep-alive --timeout-start --timeout-graceful-shutdown
        --proxies-count --real-ip-header --forwarded-secret --proxy-protocol --trusted-proxies --health-path
        --ready-path
        """
    for argument in expected.split():
        assert argument in done.stdout, argument


@contextmanager
def serving(*arguments, **options):
    """A server in a process of its own; gives its address as its first line tells it, and stops it by SIGTERM."""
    process = started(*arguments, **options)
    try:
        line = process.stdout.readline()
        assert "Ctrl-C stops" in line, line + process.stdout.read()
        yield process, line.split(" on ")[1].split(" (")[0]
    finally:
        process.terminate()
        try:
            process.rest = process.communicate(timeout=20)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def fetch(url, **options):
    with urllib.request.urlopen(url, timeout=10, **options) as answer:
        return answer.read().decode()


@pytest.mark.parametrize(
    ("said", "settings"),
    [
        ([], {}),
        (["--drain-delay", "2.5", "--keep-alive", "none"], {"DRAIN_DELAY": 2.5, "KEEP_ALIVE_TIMEOUT": None}),
        (
            ["--limit-body", "5M", "--limit-head", "64KiB"],
            {"REQUEST_MAX_SIZE": 5_000_000, "REQUEST_MAX_HEADER_SIZE": 65_536},
        ),
        (["--limit-concurrency", "7", "--max-requests", "0"], {"MAX_CONNECTIONS": 7, "MAX_REQUESTS": 0}),
        (["--unix-mode", "660", "--reuse-port"], {"UNIX_MODE": 0o660, "REUSE_PORT": True}),
        (["--loop", "asyncio"], {"USE_UVLOOP": False}),
        (["--loop", "auto", "--fast"], {}),
        (
            ["--proxy-protocol", "--trusted-proxies", "10.0.0.0/8"],
            {"PROXY_PROTOCOL": True, "TRUSTED_PROXIES": "10.0.0.0/8"},
        ),
        (
            ["--proxies-count", "2", "--real-ip-header", "X-Real-IP"],
            {"PROXIES_COUNT": 2, "REAL_IP_HEADER": "X-Real-IP"},
        ),
        (["--forwarded-fields", "proto,host"], {"FORWARDED_FIELDS": "proto,host"}),
        (["--forwarded-fields", "none"], {"FORWARDED_FIELDS": ""}),
        (["--ready-path", "--health-path", "/up"], {"READY_PATH": "/ready", "HEALTH_PATH": "/up"}),
    ],
)
def test_what_is_said_becomes_a_setting_and_nothing_else_does(said, settings):
    assert settings_of(Parser("1").parse_args(["shop:app", *said])) == settings


def test_port_and_number_of_workers_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("PORT", "1234")
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    options = Parser("1").parse_args(["shop:app"])
    assert (options.port, options.workers) == (1234, 3)
    assert Parser("1").parse_args(["shop:app", "-p", "5"]).port == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_application_is_served_until_a_signal_and_ends_well(place, number):
    with serving("shop:app", "-p", 0) as (process, url):
        assert fetch(url) == f"http {process.pid}"
        process.send_signal(number)
        assert process.wait(20) == 0
    assert "GET / 200" in process.rest


def test_tls_is_served(place, certificate):
    with serving("shop:app", "-p", 0, *certificate) as (process, url):
        assert url.startswith("https://")
        assert fetch(url, context=ssl._create_unverified_context()) == f"https {process.pid}"


def test_unix_socket_is_served(place):
    with serving("shop:app", "--unix", "s.sock") as (process, url):
        assert url == "unix:s.sock"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("s.sock")
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert answer.endswith(b"\r\n\r\nhttp %d" % process.pid)
    assert not (place / "s.sock").exists()


@pytest.mark.slow
def test_misspelt_setting_of_the_environment_is_told_at_start_once_for_all_workers(place):
    env = {"SANICISH_KEEPALIVE_TIMEOUT": "5"}
    process = started("shop:app", "-p", 0, "--workers", 2, env=env)
    lines = []
    try:
        while not (lines and "Ctrl-C stops" in lines[-1]):
            lines.append(process.stdout.readline())
            assert lines[-1], lines
    finally:
        process.terminate()
        lines += process.communicate(timeout=20)[0].splitlines()
    told = [line for line in lines if "SANICISH_KEEPALIVE_TIMEOUT" in line]
    assert len(told) == 1 and "WARNING" in told[0] and "did you mean KEEP_ALIVE_TIMEOUT?" in told[0]


def test_a_folder_is_served(place):
    (place / "a.txt").write_text("hello")
    with serving("--simple", str(place), "-p", 0) as (_, url):
        assert fetch(f"{url}/a.txt") == "hello"


def test_inherited_socket_is_served(place):
    with (
        socket.create_server(("127.0.0.1", 0)) as sock,
        serving("shop:app", "--fd", sock.fileno(), pass_fds=[sock.fileno()]) as (process, url),
    ):
        assert url == f"http://127.0.0.1:{sock.getsockname()[1]}"
        assert fetch(url) == f"http {process.pid}"


def test_debug_access_log_and_factory(place):
    with serving("shop:make", "--factory", "-p", 0, "--no-access-log", "--debug") as (process, url):
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(f"{url}/nothing")
        assert caught.value.code == 404
        caught.value.close()
    assert "GET /nothing" not in process.rest


def test_debug_shows_what_went_wrong(place):
    with serving("shop.py", "-p", 0, "--debug", "--no-access-logs") as (_, url):
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(f"{url}/fail")
        assert b"the reason" in caught.value.read()
        caught.value.close()


def test_settings_come_from_the_environment(place, monkeypatch):
    monkeypatch.setenv("SANICISH_ACCESS_LOG", "false")
    with serving("shop:app", "-p", 0) as (process, url):
        fetch(url)
    assert "GET /" not in process.rest


def test_the_log_may_be_json(place):
    with serving("shop:app", "-p", 0, "--log-format", "json") as (process, url):
        fetch(url)
    asked = json.loads(process.rest.splitlines()[0])
    assert (asked["logger"], asked["request"], asked["status"]) == ("sanicish.access", "GET /", 200)


def test_level_of_the_log_may_be_set(place):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        process = subprocess.Popen(
            command("shop:app", "--fd", sock.fileno(), "--log-level", "warning"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=[sock.fileno()],
        )
        try:
            fetch(f"http://127.0.0.1:{sock.getsockname()[1]}")
        finally:
            process.terminate()
        assert process.communicate(timeout=20)[0] == ""


ASGI = """
import functools


async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"theirs"})


def wrapped(scope, receive, send):
    return app(scope, receive, send)


def make():
    return app


class Slots:  # as Sentry's middleware is
    __slots__ = ("__call__", "application")

    def __init__(self, application):
        self.application = application
        self.__call__ = self._run

    async def _run(self, scope, receive, send):
        await self.application(scope, receive, send)


class Plain:
    def __call__(self, scope, receive, send):
        return app(scope, receive, send)


class Awaited:
    def __init__(self, scope, receive, send):
        self.arguments = scope, receive, send

    def __await__(self):
        return app(*self.arguments).__await__()


async def configured(settings, scope, receive, send):
    await app(scope, receive, send)


def decorate(function):
    @functools.wraps(function)
    def call(*arguments):
        return function(*arguments)

    return call


slots, plain, awaited, decorated = Slots(app), Plain(), Awaited, decorate(app)
partial, partial_of_an_object = functools.partial(configured, {}), functools.partial(plain)
"""


@pytest.mark.parametrize(
    ("name", "options"),
    [("asgi", {}), ("asgi:make", {"factory": True}), ("asgi:wrapped", {"interface": "asgi"}), ("asgi:make", {})],
)
def test_an_asgi_application_is_hosted(place, name, options):
    (place / "asgi.py").write_text(ASGI)
    _, answer = load_app(name, **options).test_client.get("/any/path")
    assert answer.body == b"theirs"


@pytest.mark.parametrize("name", ["slots", "plain", "awaited", "decorated", "partial", "partial_of_an_object"])
def test_whatever_can_be_called_as_asgi_says_is_hosted(place, name):
    (place / "asgi.py").write_text(ASGI)
    _, answer = load_app(f"asgi:{name}").test_client.get("/any/path")
    assert answer.body == b"theirs"


def test_what_only_may_be_an_asgi_application_is_told_how_to_be_served(place):
    (place / "asgi.py").write_text(ASGI)
    with pytest.raises(CommandError, match=r"^asgi:wrapped is a function, not an application; .* --interface asgi$"):
        load_app("asgi:wrapped")


@pytest.mark.parametrize("argument", ["--shield", "--no-shield", "--asgi-spec=2.4"])
def test_options_of_hosting_are_refused_for_our_own_applications(place, argument):
    code, line = fails("shop:app", argument)
    assert (code, line.partition(" are for ")[0]) == (1, "sanicish: --shield and --asgi-spec")


def test_the_version_of_asgi_to_announce_is_said_on_the_command_line(place):
    (place / "asgi.py").write_text(
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'lifespan':\n"
        "        for _ in range(2):\n"
        "            await send({'type': (await receive())['type'] + '.complete'})\n"
        "        return\n"
        "    await send({'type': 'http.response.start', 'status': 200})\n"
        "    await send({'type': 'http.response.body', 'body': scope['asgi']['spec_version'].encode()})\n"
    )
    with serving("asgi", "-p", 0, "--asgi-spec", "2.1") as (_, url):
        assert fetch(url) == "2.1"
    assert fails("asgi", "--asgi-spec", "new") == (
        2,
        "sanicish: argument --asgi-spec: 'new' is no version; give for example 2.4 (--help tells more)\n",
    )


@pytest.mark.parametrize("options", [{"interface": "sanicish"}, {"interface": "asgi", "factory": True}])
def test_an_asgi_application_that_is_not_asked_for_is_refused(place, options):
    (place / "asgi.py").write_text(ASGI)
    with pytest.raises(CommandError, match="asgi is a function, not"):
        load_app("asgi", **options)


def test_extra_that_is_missing_is_one_clear_line(place):
    (place / "watchfiles.py").write_text("raise ModuleNotFoundError")
    assert fails("shop:app", "-p", 0, "--reload") == (
        1,
        "sanicish: reloading needs watchfiles: pip install 'sanicish[reload]'\n",
    )


@pytest.mark.slow
def test_sockets_of_systemd_are_served(place):
    starter = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
        "os.execv(sys.executable, sys.argv[2:])"
    )
    with socket.create_server(("127.0.0.1", 0)) as sock, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(place / "notify"))
        manager.settimeout(20)
        process = subprocess.Popen(
            [sys.executable, "-c", starter, str(sock.fileno()), *command("shop:app")],
            env={**os.environ, "LISTEN_FDS": "1", "NOTIFY_SOCKET": str(place / "notify")},
            stdout=subprocess.DEVNULL,
            pass_fds=[sock.fileno()],
        )
        try:
            assert manager.recv(100) == b"READY=1"
            assert fetch(f"http://127.0.0.1:{sock.getsockname()[1]}") == f"http {process.pid}"
        finally:
            process.terminate()
            assert process.wait(20) == 0
        assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.slow
def test_certificate_is_read_again_on_sighup(place, certificate):
    def shown():
        host, port = url.removeprefix("https://").split(":")
        return ssl.get_server_certificate((host, int(port)))

    with serving("shop:app", "-p", 0, *certificate) as (process, url):
        before = shown()
        issued = trustme.CA().issue_cert("localhost")
        issued.private_key_pem.write_to_path(str(place / "key.pem"))
        issued.cert_chain_pems[0].write_to_path(str(place / "cert.pem"))
        process.send_signal(signal.SIGHUP)
        assert "the certificate was read again" in process.stdout.readline()
        assert shown() != before


@pytest.mark.slow
def test_after_sigterm_probes_say_no_and_requests_are_answered_until_the_delay_is_over(place):
    with serving("shop:app", "-p", 0, "--drain-delay", "3", "--ready-path") as (process, url):
        assert fetch(f"{url}/ready") == "serving\n"
        process.send_signal(signal.SIGTERM)
        assert "draining for 3 s" in process.stdout.readline() + process.stdout.readline()
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(f"{url}/ready")
        assert caught.value.code == 503
        caught.value.close()
        assert fetch(url) == f"http {process.pid}"
        assert process.wait(20) == 0
