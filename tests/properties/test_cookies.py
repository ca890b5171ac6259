"""Cookies: any value comes back as it was set, and no text breaks out of its place."""

from http.cookies import SimpleCookie

from hypothesis import given
from hypothesis import strategies as st

from sanicish.cookies import Cookie, CookieJar, parse_cookies
from sanicish.headers import is_field_name, is_field_value

names = st.text("!#$%&'*+-.^_`|~09AZaz", min_size=1, max_size=8)
sharp = st.text(st.sampled_from('ab";,\\=\r\n\t \x00\x7f\x85\xa0\xe9\u20ac0127'), max_size=16)
anything = st.text(st.characters(exclude_categories=[]), max_size=20) | sharp
latin = st.text(st.characters(max_codepoint=255), max_size=60)


def pair_of(cookie):
    """What a client sends back of a ``Set-Cookie`` field."""
    return cookie.encode().partition(";")[0]


@given(st.dictionaries(names, st.text(max_size=20) | sharp, max_size=6))
def test_what_is_set_comes_back(cookies):
    jar = CookieJar()
    for name, value in cookies.items():
        jar[name] = value
    assert parse_cookies("; ".join(map(pair_of, jar.cookies))) == cookies


@given(names, anything)
def test_any_value_is_sent_in_its_place_or_refused(name, value):
    try:
        field = Cookie(name, value).encode()
    except ValueError:
        assert any("\ud800" <= character <= "\udfff" for character in value)
    else:
        assert is_field_value(field)
        assert field.count(";") == 1 and field.endswith("; Path=/")


@given(anything)
def test_any_name_is_sent_as_it_is_or_refused(name):
    try:
        field = Cookie(name, "x").encode()
    except ValueError:
        assert not is_field_name(name)
    else:
        assert field == f"{name}=x; Path=/"


@given(st.sampled_from(["path", "domain", "expires", "samesite", "max-age"]), anything)
def test_any_attribute_is_sent_in_its_place_or_refused(attribute, value):
    cookie = Cookie("a", "1")
    try:
        cookie[attribute] = value
    except ValueError:
        assert cookie.encode() == "a=1; Path=/"
    else:
        assert is_field_value(cookie.encode())
        assert cookie.encode().count(";") == len(cookie)


@given(latin | sharp)
def test_any_header_of_a_client_is_read(header):
    cookies = parse_cookies(header)
    assert all(name and ";" not in name and "=" not in name for name in cookies)
    assert all(isinstance(value, str) for value in cookies.values())


@given(names, st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20))
def test_what_the_standard_library_sends_is_read_alike(name, value):
    jar = SimpleCookie()
    jar[name] = value
    assert parse_cookies(jar[name].OutputString()) == {name: value}
