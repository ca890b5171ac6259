"""Settings: every key with its default, and all the ways to set one."""

import copy
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

from sanicish import Sanic
from sanicish.config import DEFAULTS, Config
from sanicish.exceptions import InvalidSetting, LoadFileException, PyFileError

SPECIFIED = {
    "REQUEST_MAX_SIZE": 100_000_000,
    "REQUEST_STREAM_MAX_SIZE": None,
    "REQUEST_BUFFER_SIZE": 65_536,
    "REQUEST_BUFFER_QUEUE_SIZE": 100,
    "REQUEST_MAX_HEADER_SIZE": 16_384,
    "REQUEST_MAX_HEADERS": 100,
    "REQUEST_TIMEOUT": 60,
    "REQUEST_IDLE_TIMEOUT": 60,
    "REQUEST_ID_HEADER": "X-Request-ID",
    "RESPONSE_TIMEOUT": 60,
    "RESPONSE_BUFFER_SIZE": 65_536,
    "RESPONSE_BUFFER_LIMIT": 16 * 1024 * 1024,
    "WRITE_TIMEOUT": 60,
    "STREAM_IDLE_TIMEOUT": None,
    "STREAM_CLEANUP_TIMEOUT": 5,
    "FAIRNESS_SLICE": 0.002,
    "KEEP_ALIVE": True,
    "KEEP_ALIVE_TIMEOUT": 5,
    "DRAIN_LIMIT": 65_536,
    "LINGER_TIMEOUT": 2,
    "GRACEFUL_SHUTDOWN_TIMEOUT": 15.0,
    "GRACEFUL_TCP_CLOSE_TIMEOUT": 5.0,
    "MAX_CONNECTIONS": None,
    "FORWARDED_SECRET": None,
    "REAL_IP_HEADER": None,
    "PROXIES_COUNT": None,
    "FORWARDED_FOR_HEADER": "X-Forwarded-For",
    "ACCESS_LOG": True,
    "FALLBACK_ERROR_FORMAT": "auto",
    "USE_UVLOOP": True,
    "MOTD": True,
}


@pytest.fixture
def config():
    return Config(load_env=False)


@pytest.mark.parametrize("name", SPECIFIED)
def test_every_setting_has_its_default(config, name):
    assert config[name] == getattr(config, name) == SPECIFIED[name]


def test_a_setting_is_an_item_and_an_attribute(config):
    config.MY_SETTING = 1
    config["OTHER"] = 2
    assert (config["MY_SETTING"], config.OTHER) == (1, 2)


def test_an_unknown_setting_raises_as_what_it_was_asked_for(config):
    with pytest.raises(AttributeError, match="NO_SUCH"):
        config.NO_SUCH
    with pytest.raises(KeyError):
        config["NO_SUCH"]
    assert config.get("NO_SUCH", 5) == 5
    assert not hasattr(config, "no_such")


def test_the_settings_of_one_application_are_not_those_of_another(config):
    config.KEEP_ALIVE = False
    assert Config(load_env=False).KEEP_ALIVE is True
    assert DEFAULTS["KEEP_ALIVE"] is True


def test_a_config_can_be_copied_and_sent_to_another_process():
    config = Config({"A": 1}, load_env=False, converters=[int])
    for other in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert other == config
        assert other.A == 1


# Keywords and mappings


def test_settings_come_from_keywords():
    config = Config(load_env=False, REQUEST_TIMEOUT=5, MY_SETTING="x")
    assert (config.REQUEST_TIMEOUT, config.MY_SETTING) == (5, "x")


def test_a_keyword_that_is_no_setting_is_a_mistake():
    with pytest.raises(TypeError, match="request_timeout"):
        Config(load_env=False, request_timeout=5)


def test_settings_come_from_a_mapping():
    assert Config({"REQUEST_TIMEOUT": 5}, load_env=False).REQUEST_TIMEOUT == 5
    assert Config(defaults={"REQUEST_TIMEOUT": 5}, load_env=False).REQUEST_TIMEOUT == 5


def test_keep_alive_has_an_argument_of_its_own():
    assert Config(load_env=False, keep_alive=False).KEEP_ALIVE is False


def test_the_environment_comes_before_a_mapping_and_after_a_keyword(monkeypatch):
    monkeypatch.setenv("SANICISH_A", "1")
    monkeypatch.setenv("SANICISH_B", "1")
    config = Config({"A": 0, "B": 0}, B=2)
    assert (config.A, config.B) == (1, 2)


# The environment


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("Yes", True),
        ("on", True),
        ("false", False),
        ("NO", False),
        ("off", False),
        ("none", None),
        ("None", None),
        ("text", "text"),
        ("", ""),
        ("a=b", "a=b"),
        ("1 2", "1 2"),
    ],
)
def test_a_setting_of_the_environment_is_read_for_what_it_says(monkeypatch, text, value):
    monkeypatch.setenv("SANICISH_MY_SETTING", text)
    read = Config().MY_SETTING
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", ["0123", "true", "1e3", "none"])
def test_a_secret_of_the_environment_is_text_whatever_it_looks_like(monkeypatch, text):
    monkeypatch.setenv("SANICISH_FORWARDED_SECRET", text)
    config = Config()
    assert text == config.FORWARDED_SECRET


def test_only_upper_case_names_with_the_prefix_are_settings(monkeypatch):
    monkeypatch.setenv("SANICISH_lower", "1")
    monkeypatch.setenv("SANICISH_", "1")
    monkeypatch.setenv("OTHER_SETTING", "1")
    assert not {"lower", "", "SETTING", "OTHER_SETTING"} & set(Config())


def test_the_prefix_is_a_choice(monkeypatch):
    monkeypatch.setenv("MYAPP_A", "1")
    monkeypatch.setenv("SANIC_A", "2")
    monkeypatch.setenv("SANICISH_A", "3")
    assert Config().A == 3
    assert Config(env_prefix="MYAPP_").A == 1
    assert Config(load_env="SANIC_").A == 2
    assert Config(load_env="SANIC_", env_prefix="MYAPP_").A == 2


@pytest.mark.parametrize("options", [{"load_env": False}, {"env_prefix": None}, {"env_prefix": ""}])
def test_the_environment_can_be_left_alone(monkeypatch, options):
    monkeypatch.setenv("SANICISH_A", "1")
    assert "A" not in Config(**options)


def test_an_application_reads_the_environment_as_it_is_told(monkeypatch):
    monkeypatch.setenv("SANICISH_A", "1")
    monkeypatch.setenv("MYAPP_A", "2")
    options = {"register": False, "configure_logging": False}
    assert Sanic("a", **options).config.A == 1
    assert Sanic("a", load_env="MYAPP_", **options).config.A == 2
    assert Sanic("a", env_prefix="MYAPP_", **options).config.A == 2
    assert "A" not in Sanic("a", load_env=False, **options).config
    assert Sanic("a", config=Config({"A": 5}, load_env=False), **options).config.A == 5


def test_the_environment_can_be_read_later(monkeypatch, config):
    monkeypatch.setenv("LATER_A", "5")
    config.load_environment_vars("LATER_")
    assert config.A == 5


def test_a_converter_is_asked_before_the_ordinary_ones(monkeypatch):
    def path(text):
        if not text.startswith("/"):
            raise ValueError
        return Path(text)

    monkeypatch.setenv("SANICISH_DIR", "/srv")
    monkeypatch.setenv("SANICISH_A", "5")
    config = Config(converters=[path])
    assert Path("/srv") == config.DIR
    assert config.A == 5


def test_a_converter_can_be_registered_and_the_last_one_comes_first(monkeypatch, config):
    config.register_type(lambda text: "first")
    config.register_type(lambda text: "last")
    monkeypatch.setenv("SANICISH_A", "5")
    config.load_environment_vars()
    assert config.A == "last"


# Objects and files


def test_settings_come_from_the_upper_case_names_of_an_object(config):
    config.from_object(SimpleNamespace(A=1, b=2, C_D="x"))
    assert (config.A, config.C_D) == (1, "x")
    assert "b" not in config


def test_settings_come_from_a_class_and_its_bases(config):
    class Base:
        A = 1
        B = 1

    class Settings(Base):
        B = 2

    config.from_object(Settings)
    assert (config.A, config.B) == (1, 2)


def test_settings_come_from_a_python_file(config, tmp_path):
    path = tmp_path / "settings.py"
    path.write_text("import os\nA = 1 + 1\nlower = 5\nHERE = os.path.basename(__file__)\nNAME = 'é'\n", "utf-8")
    assert config.from_pyfile(path) is True
    assert config.from_pyfile(str(path)) is True
    assert (config.A, config.HERE, config.NAME) == (2, "settings.py", "\xe9")
    assert "lower" not in config and "os" not in config


def test_a_file_that_is_not_there_cannot_be_loaded(config, tmp_path):
    for path in (tmp_path / "none.py", tmp_path, "a\x00b"):
        with pytest.raises(LoadFileException, match="could not load"):
            config.from_pyfile(path)


def test_a_file_that_is_no_text_cannot_be_loaded(config, tmp_path):
    (tmp_path / "settings.py").write_bytes(b"A = '\xff'")
    with pytest.raises(LoadFileException):
        config.from_pyfile(tmp_path / "settings.py")


@pytest.mark.parametrize("source", ["A = 1 / 0", "A = ", "raise KeyError"])
def test_a_file_that_fails_says_so_with_its_cause(config, tmp_path, source):
    path = tmp_path / "settings.py"
    path.write_text(source)
    with pytest.raises(PyFileError, match=r"settings\.py") as caught:
        config.from_pyfile(path)
    assert caught.value.__cause__ is not None
    assert "A" not in config


def test_the_environment_may_name_the_file(monkeypatch, config, tmp_path):
    (tmp_path / "settings.py").write_text("A = 5")
    monkeypatch.setenv("MY_CONFIG", str(tmp_path / "settings.py"))
    assert config.from_envvar("MY_CONFIG") is True
    assert config.A == 5


def test_a_missing_variable_for_the_file_is_named(monkeypatch, config):
    monkeypatch.delenv("MY_CONFIG", raising=False)
    with pytest.raises(LoadFileException, match="MY_CONFIG"):
        config.from_envvar("MY_CONFIG")


def test_update_config_takes_a_mapping_a_path_or_an_object(config, tmp_path):
    (tmp_path / "settings.py").write_text("A = 3")
    config.update_config({"A": 1, "b": 1})
    assert config.A == 1 and "b" not in config
    config.update_config(SimpleNamespace(A=2, b=1))
    assert config.A == 2 and "b" not in config
    config.update_config(tmp_path / "settings.py")
    assert config.A == 3
    config.update_config({"A": 1})
    config.update_config(str(tmp_path / "settings.py"))
    assert config.A == 3


def test_an_application_takes_settings_too(app):
    app.update_config({"A": 1})
    assert app.config.A == 1


# What the server reads


def test_limits_are_the_settings_of_the_wire():
    config = Config(
        load_env=False,
        REQUEST_MAX_HEADER_SIZE=1,
        REQUEST_MAX_HEADERS=2,
        REQUEST_MAX_TARGET_SIZE=3,
        REQUEST_BUFFER_SIZE=5,
        DRAIN_LIMIT=6,
        RESPONSE_BUFFER_LIMIT=7,
        REQUEST_STREAM_MAX_SIZE=8,
    )
    limits = config.limits()
    assert (limits.head, limits.fields, limits.target) == (1, 2, 3)
    assert (limits.buffer, limits.drain, limits.unsent, limits.stream_body) == (5, 6, 7, 8)


def test_clocks_are_the_settings_of_time():
    config = Config(
        load_env=False,
        REQUEST_TIMEOUT=1,
        REQUEST_IDLE_TIMEOUT=2,
        RESPONSE_TIMEOUT=3,
        WRITE_TIMEOUT=4,
        STREAM_IDLE_TIMEOUT=5,
        KEEP_ALIVE_TIMEOUT=6,
        LINGER_TIMEOUT=7,
        GRACEFUL_TCP_CLOSE_TIMEOUT=8,
    )
    timeouts = config.timeouts()
    assert (timeouts.head, timeouts.body_idle, timeouts.response, timeouts.write) == (1, 2, 3, 4)
    assert (timeouts.stream_idle, timeouts.keep_alive, timeouts.linger, timeouts.close) == (5, 6, 7, 8)


def test_without_keep_alive_no_connection_is_kept():
    assert Config(load_env=False, KEEP_ALIVE=False).timeouts().keep_alive == 0


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("KEEP_ALIVE_TIMEOUT", "abc", "KEEP_ALIVE_TIMEOUT is a number from 0 on or none, not 'abc'"),
        ("REQUEST_MAX_SIZE", -1, "REQUEST_MAX_SIZE is a number from 0 on or none, not -1"),
        ("WRITE_TIMEOUT", float("nan"), "WRITE_TIMEOUT is a number from 0 on or none, not nan"),
        ("MAX_CONNECTIONS", "many", "MAX_CONNECTIONS is a number from 0 on or none, not 'many'"),
        ("LOG_FORMAT", "xml", "LOG_FORMAT is one of text, json, not 'xml'"),
        ("KEEP_ALIVE_TIMEOUT", True, "KEEP_ALIVE_TIMEOUT is a number from 0 on or none, not True"),
        ("REQUEST_MAX_HEADER_SIZE", None, "REQUEST_MAX_HEADER_SIZE is a whole number, not None"),
        ("REQUEST_MAX_HEADERS", 1.5, "REQUEST_MAX_HEADERS is a whole number, not 1.5"),
        ("REQUEST_ID_HEADER", 1, "REQUEST_ID_HEADER is the name of a header or none, not 1"),
        ("LOG_FORMAT", None, "LOG_FORMAT is one of text, json, not None"),
        ("LOG_LEVEL", 10, "LOG_LEVEL is one of debug, info, warning, error, critical, not 10"),
        ("COMPRESS", "lzma", "COMPRESS: not an encoding that is known here: lzma"),
        ("UNIX_MODE", 660, "UNIX_MODE is a mode such as 0o660, not 660"),
        ("UNIX_MODE", "rw", "UNIX_MODE is a mode such as 0o660, not 'rw'"),
        ("UNIX_MODE", None, "UNIX_MODE is a mode such as 0o660, not None"),
        ("TRUSTED_PROXIES", "127.0.0.1, near", "list of addresses and networks, unix, or *, not 'near'"),
        ("TRUSTED_PROXIES", ["10.0.0.0/99"], "list of addresses and networks, unix, or *, not '10.0.0.0/99'"),
        ("TRUSTED_PROXIES", 10, "list of addresses and networks, unix, or *, not 10"),
        ("FORWARDED_FIELDS", "proto, for", "list of proto, host, port and path, or empty, not 'for'"),
        ("FAIRNESS_SLICE", None, "FAIRNESS_SLICE is a number from 0 on, not None"),
        ("REQUEST_BUFFER_SIZE", None, "REQUEST_BUFFER_SIZE is a number from 0 on, not None"),
        ("RESPONSE_BUFFER_LIMIT", None, "RESPONSE_BUFFER_LIMIT is a number from 0 on, not None"),
        ("STREAM_CLEANUP_TIMEOUT", None, "STREAM_CLEANUP_TIMEOUT is a number from 0 on, not None"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is one of debug, info, warning, error, critical, not 'loud'"),
    ],
)
def test_a_server_does_not_start_with_a_setting_that_makes_no_sense(name, value, told):
    app = Sanic("nonsense", load_env=False, register=False, configure_logging=False)
    app.config[name] = value
    with pytest.raises(InvalidSetting) as raised:
        app.run(port=0)
    assert told in str(raised.value)


def test_every_default_makes_sense():
    Config(load_env=False).check()


@pytest.mark.parametrize("mode", [0o600, "660", "0660", "0o660"])
def test_the_mode_of_a_unix_socket_is_octal(mode):
    Config({"UNIX_MODE": mode}, load_env=False).check()


@pytest.mark.parametrize("proxies", ["", "*", "unix", "10.1.2.3/8 fd00::/8,127.0.0.1", ["::1", "unix"], ()])
def test_trusted_proxies_are_named_in_several_ways(proxies):
    Config({"TRUSTED_PROXIES": proxies}, load_env=False).check()


def test_clocks_may_be_off():
    Config({"REQUEST_TIMEOUT": None, "WRITE_TIMEOUT": 0.5}, load_env=False).check()


# Names that are no settings


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("REQUEST_TIMOUT", "REQUEST_TIMEOUT"),
        ("KEEPALIVE_TIMEOUT", "KEEP_ALIVE_TIMEOUT"),
        ("MAX_REQUEST_SIZE", "REQUEST_MAX_SIZE"),
        ("GRACEFUL_SHUTDOWN", "GRACEFUL_SHUTDOWN_TIMEOUT"),
        ("PROXY_COUNT", "PROXIES_COUNT"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("ACESS_LOG", "ACCESS_LOG"),
    ],
)
def test_name_that_is_close_to_a_setting_is_doubted_once(name, meant):
    config = Config(load_env=False)
    config[name] = 5
    assert list(config.doubts()) == [f"there is no setting {name}; did you mean {meant}?"]
    assert list(config.doubts()) == []


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "SECRET_KEY", "CACHE_TIMEOUT", "READ_TIMEOUT", "HTTP_TIMEOUT", "DEBUG", "A"]
)
def test_settings_of_the_application_are_not_doubted(name):
    assert list(Config({name: 5}, load_env=False).doubts()) == []


def test_settings_are_not_doubted():
    assert list(Config(load_env=False).doubts()) == []


def test_doubted_name_of_the_environment_is_told_with_its_variable(monkeypatch):
    monkeypatch.setenv("SHOP_REQUEST_TIMOUT", "5")
    told = "there is no setting REQUEST_TIMOUT (from SHOP_REQUEST_TIMOUT in the environment); did you mean REQUEST_TIMEOUT?"
    assert list(Config(env_prefix="SHOP_").doubts()) == [told]


@pytest.mark.parametrize(
    "given",
    [
        lambda app: setattr(app.config, "REQUEST_TIMOUT", 5),
        lambda app: app.config.update(REQUEST_TIMOUT=5),
        lambda app: app.update_config({"REQUEST_TIMOUT": 5}),
        lambda app: setattr(app, "config", Config(REQUEST_TIMOUT=5)),
    ],
)
def test_doubts_are_in_the_log_at_start_however_the_name_was_given(app, caplog, given):
    app.get("/")(lambda request: "a")
    given(app)
    for _ in range(2):
        app.test_client.get("/")
    [record] = [record for record in caplog.records if "did you mean" in record.message]
    assert (record.levelname, record.message) == (
        "WARNING",
        "there is no setting REQUEST_TIMOUT; did you mean REQUEST_TIMEOUT?",
    )
