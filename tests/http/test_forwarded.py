"""What proxies say of the client is believed from a trusted proxy only (RFC 7239 and X-Forwarded-*)."""

import pytest

from sanicish.config import Config
from sanicish.headers import Headers
from sanicish.http.forwarded import parse_forwarded


def read(fields, **settings):
    return parse_forwarded(Headers(fields), Config(settings, load_env=False))


EVERYTHING = {
    "Forwarded": "for=1.2.3.4;proto=https;host=evil;secret=guess",
    "X-Forwarded-For": "1.2.3.4",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Path": "/evil",
    "X-Scheme": "https",
    "X-Real-IP": "1.2.3.4",
}


def test_without_settings_nothing_a_client_sends_is_believed():
    assert read(EVERYTHING) == {}


def test_host_and_proto_are_not_believed_without_an_address_of_a_proxy():
    fields = {name: value for name, value in EVERYTHING.items() if name != "X-Forwarded-For"}
    assert read(fields, PROXIES_COUNT=1) == {}
    assert read(fields, REAL_IP_HEADER="X-Client") == {}


# Forwarded


def test_the_element_with_our_secret_is_believed():
    fields = {"Forwarded": 'for=9.9.9.9;proto=http, for=1.2.3.4;proto=https;host="A.example:81";by=_p;secret=s3'}
    assert read(fields, FORWARDED_SECRET="s3") == {
        "for": "1.2.3.4",
        "proto": "https",
        "host": "a.example:81",
        "by": "_p",
    }


def test_the_secret_itself_is_not_shown_to_the_application():
    assert "s3" not in read({"Forwarded": "for=1.1.1.1;secret=s3"}, FORWARDED_SECRET="s3").values()


def test_a_proxy_may_name_itself_by_the_secret():
    assert read({"Forwarded": "for=1.2.3.4;by=_s3"}, FORWARDED_SECRET="_s3")["for"] == "1.2.3.4"


@pytest.mark.parametrize("text", ["for=1.2.3.4", "for=1.2.3.4;secret=other", "for=1.2.3.4;secret=S3", "secret", ""])
def test_an_element_without_our_secret_is_not_believed(text):
    assert read({"Forwarded": text}, FORWARDED_SECRET="s3") == {}


def test_of_several_elements_with_our_secret_the_last_one_counts():
    assert read({"Forwarded": "for=1.1.1.1;secret=s, for=2.2.2.2;secret=s"}, FORWARDED_SECRET="s")["for"] == "2.2.2.2"


def test_several_fields_are_one_list():
    fields = [("Forwarded", "for=1.1.1.1;secret=s"), ("Forwarded", "for=2.2.2.2")]
    assert read(fields, FORWARDED_SECRET="s")["for"] == "1.1.1.1"


def test_names_are_read_in_any_case_and_blanks_are_allowed():
    assert read({"Forwarded": " FOR=1.1.1.1 ; Proto=HTTPS ;\tsecret=s "}, FORWARDED_SECRET="s") == {
        "for": "1.1.1.1",
        "proto": "https",
    }


@pytest.mark.parametrize(
    "before",
    ['for="', "for=, ", "garbage", 'for="a', '";,=', "for=1.1.1.1;;", 'x="\\', ",,,", "for=a b", 'for="unbalanced, '],
)
def test_what_a_client_writes_before_cannot_hide_what_our_proxy_adds(before):
    assert read({"Forwarded": f'{before}, for="[::1]:80";secret=s'}, FORWARDED_SECRET="s")["for"] == "[::1]"


def test_garbage_behind_our_proxy_is_not_read_past():
    assert read({"Forwarded": "for=1.1.1.1;secret=s, garbage"}, FORWARDED_SECRET="s") == {}


def test_a_secret_that_is_a_number_is_a_secret():
    assert read({"Forwarded": "for=1.1.1.1;secret=0123"}, FORWARDED_SECRET="0123")["for"] == "1.1.1.1"


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ('"1.2.3.4:567"', "1.2.3.4"),
        ('"[2001:DB8::1]"', "[2001:db8::1]"),
        ('"[2001:db8::1]:567"', "[2001:db8::1]"),
        ('"2001:db8::1"', "[2001:db8::1]"),
        ("_Hidden-1", "_Hidden-1"),
        ('"_Hidden:80"', "_Hidden"),
        ("Host.Example", "host.example"),
    ],
)
def test_an_address_is_told_without_its_port(given, read_as):
    assert read({"Forwarded": f"for={given};secret=s"}, FORWARDED_SECRET="s")["for"] == read_as


@pytest.mark.parametrize("given", ["unknown", "Unknown", '"unknown:80"', '"[::1"', '""', '":80"'])
def test_an_address_that_is_none_is_left_out(given):
    assert "for" not in read({"Forwarded": f"for={given};secret=s"}, FORWARDED_SECRET="s")


def test_a_long_hostile_field_is_read_quickly():
    for piece in ('a="', "a=b,", ",", '\\"', "a=b;", '="', 'a="b",'):
        for end in ("", '"', ";", "x"):
            read({"Forwarded": piece * (16_384 // len(piece)) + end}, FORWARDED_SECRET="s")


# X-Forwarded


def test_the_count_of_proxies_says_which_address_is_the_client():
    fields = {"X-Forwarded-For": "1.1.1.1, 2.2.2.2, 3.3.3.3"}
    assert read(fields, PROXIES_COUNT=1) == {"for": "3.3.3.3"}
    assert read(fields, PROXIES_COUNT=2) == {"for": "2.2.2.2"}
    assert read(fields, PROXIES_COUNT=3) == {"for": "1.1.1.1"}


@pytest.mark.parametrize("count", [4, 0, -1, None])
def test_a_list_shorter_than_the_count_or_no_count_is_not_believed(count):
    assert read({"X-Forwarded-For": "1.1.1.1, 2.2.2.2, 3.3.3.3"}, PROXIES_COUNT=count) == {}


def test_several_fields_of_addresses_are_one_list_and_empty_members_do_not_count():
    fields = [("X-Forwarded-For", "1.1.1.1,,"), ("X-Forwarded-For", " 2.2.2.2 , ")]
    assert read(fields, PROXIES_COUNT=2) == {"for": "1.1.1.1"}


def test_the_field_of_addresses_can_have_another_name():
    assert read({"X-Client-IPs": "1.1.1.1"}, PROXIES_COUNT=1, FORWARDED_FOR_HEADER="X-Client-IPs") == {"for": "1.1.1.1"}


def test_a_proxy_may_tell_the_address_in_a_field_of_its_own():
    fields = {"X-Real-IP": "1.1.1.1", "X-Forwarded-For": "2.2.2.2"}
    assert read(fields, REAL_IP_HEADER="x-real-ip") == {"for": "1.1.1.1"}
    assert read(fields, REAL_IP_HEADER="x-real-ip", PROXIES_COUNT=1) == {"for": "1.1.1.1"}
    assert read(fields, REAL_IP_HEADER="x-other", PROXIES_COUNT=1) == {"for": "2.2.2.2"}


ALL = "proto, host, port, path"


def test_the_other_fields_count_where_they_are_named_and_when_the_address_does():
    fields = {
        "X-Forwarded-For": "1.1.1.1",
        "X-Forwarded-Proto": "HTTPS",
        "X-Forwarded-Host": "A.example",
        "X-Forwarded-Port": "8443",
        "X-Forwarded-Path": "/Before",
    }
    everything = {"for": "1.1.1.1", "proto": "https", "host": "a.example", "port": 8443, "path": "/Before"}
    assert read(fields, PROXIES_COUNT=1, FORWARDED_FIELDS=ALL) == everything
    assert read(fields, REAL_IP_HEADER="X-Forwarded-For", FORWARDED_FIELDS=ALL.split(", ")) == everything
    assert read(fields, FORWARDED_FIELDS=ALL) == {}
    assert read(fields, PROXIES_COUNT=2, FORWARDED_FIELDS=ALL) == {}


@pytest.mark.parametrize("named", ["proto", "host", "port", "path"])
def test_only_those_that_are_named_count(named):
    fields = {**EVERYTHING, "X-Forwarded-Host": "a.example"}
    assert set(read(fields, PROXIES_COUNT=1, FORWARDED_FIELDS=named)) == {"for", named}


@pytest.mark.parametrize("named", ["", None, ()])
def test_none_of_them_may_count(named):
    assert read(EVERYTHING, PROXIES_COUNT=1, FORWARDED_FIELDS=named) == {"for": "1.2.3.4"}


@pytest.mark.parametrize("settings", [{"PROXIES_COUNT": 1}, {"REAL_IP_HEADER": "X-Real-IP"}])
def test_by_default_a_client_cannot_choose_host_port_or_path(settings):
    """Most proxies set X-Forwarded-For and -Proto, and pass on the rest as the client sent it."""
    assert read(EVERYTHING, **settings) == {"for": "1.2.3.4", "proto": "https"}


@pytest.mark.parametrize(
    ("values", "count", "believed"),
    [
        ("a", 1, "a"),
        ("evil, a", 1, "a"),
        ("a", 3, "a"),
        ("a, b, c", 3, "a"),
        ("evil, a, b, c", 3, "a"),
        ("evil, c", 3, None),
    ],
)
def test_a_value_counts_if_each_proxy_sets_it_or_each_adds_to_it(values, count, believed):
    fields = {"X-Forwarded-For": "1.1.1.1, 2.2.2.2, 3.3.3.3", "X-Forwarded-Host": values}
    assert read(fields, PROXIES_COUNT=count, FORWARDED_FIELDS="host").get("host") == believed


def test_a_path_of_the_client_stands_before_that_of_the_proxy():
    fields = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-Path", "/evil"), ("X-Forwarded-Path", "/a,b")]
    assert read(fields, PROXIES_COUNT=1, FORWARDED_FIELDS="path")["path"] == "/a,b"


def test_an_address_of_the_client_stands_before_that_of_the_proxy():
    fields = [("X-Real-IP", "6.6.6.6"), ("X-Real-IP", "1.1.1.1")]
    assert read(fields, REAL_IP_HEADER="X-Real-IP") == {"for": "1.1.1.1"}


@pytest.mark.parametrize("proto", ["javascript", "", "httpss", "http://x"])
def test_what_is_no_scheme_of_http_does_not_count(proto):
    assert read({"X-Forwarded-For": "1.1.1.1", "X-Forwarded-Proto": proto}, PROXIES_COUNT=1) == {"for": "1.1.1.1"}


def test_x_scheme_tells_the_scheme_where_x_forwarded_proto_does_not():
    assert read({"X-Forwarded-For": "1.1.1.1", "X-Scheme": "https"}, PROXIES_COUNT=1)["proto"] == "https"
    fields = {"X-Forwarded-For": "1.1.1.1", "X-Scheme": "http", "X-Forwarded-Proto": "https"}
    assert read(fields, PROXIES_COUNT=1)["proto"] == "https"


def test_of_what_each_proxy_adds_the_outermost_trusted_one_counts():
    fields = {"X-Forwarded-For": "6.6.6.6, 1.1.1.1, 2.2.2.2", "X-Forwarded-Proto": "evil, https, http"}
    assert read(fields, PROXIES_COUNT=2) == {"for": "1.1.1.1", "proto": "https"}
    fields["X-Forwarded-Proto"] = "https"
    assert read(fields, PROXIES_COUNT=2) == {"for": "1.1.1.1", "proto": "https"}


def test_without_a_count_the_last_member_is_what_the_nearest_proxy_added():
    fields = {"X-Real-IP": "1.1.1.1", "X-Forwarded-Proto": "evil, https"}
    assert read(fields, REAL_IP_HEADER="X-Real-IP")["proto"] == "https"


@pytest.mark.parametrize("port", ["1", "443", "65535"])
def test_a_port_is_a_number(port):
    assert read({"X-Forwarded-For": "1.1.1.1", "X-Forwarded-Port": port}, PROXIES_COUNT=1, FORWARDED_FIELDS="port")[
        "port"
    ] == int(port)


@pytest.mark.parametrize("port", ["", "x", "-1", "0", "65536", "8 0", "9" * 5000, "8e3"])
def test_a_port_that_is_none_is_left_out(port):
    assert "port" not in read(
        {"X-Forwarded-For": "1.1.1.1", "X-Forwarded-Port": port}, PROXIES_COUNT=1, FORWARDED_FIELDS="port"
    )


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        ("2001:DB8::1", "[2001:db8::1]"),
        ("[2001:db8::1]:5", "[2001:db8::1]"),
        ("::1", "[::1]"),
        ("1.1.1.1:5", "1.1.1.1"),
    ],
)
def test_addresses_of_both_kinds_are_told_alike(given, read_as):
    assert read({"X-Forwarded-For": given}, PROXIES_COUNT=1) == {"for": read_as}


def test_forwarded_comes_before_the_x_fields():
    fields = {"Forwarded": "for=1.1.1.1;secret=s", "X-Forwarded-For": "2.2.2.2"}
    assert read(fields, FORWARDED_SECRET="s", PROXIES_COUNT=1)["for"] == "1.1.1.1"
    assert read({"X-Forwarded-For": "2.2.2.2"}, FORWARDED_SECRET="s", PROXIES_COUNT=1)["for"] == "2.2.2.2"
