"""Forms: fields and files come out as they went in, and any bytes are a form or a named refusal."""

import re
from contextlib import suppress
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from sanicish.exceptions import BadRequest, PayloadTooLarge
from sanicish.http.forms import parse_form

BOUNDARY = b"XxYyZz"
texts = st.text(max_size=12)
data = st.binary(max_size=60) | st.text("\r\n-XxYyZz", max_size=20).map(str.encode)
fields = st.tuples(texts, st.none(), texts.map(str.encode))
files = st.tuples(texts, texts, data)


def escape(name):
    """A name as browsers write it (HTML, multipart/form-data encoding algorithm)."""
    return re.sub('[\r\n"]', lambda match: f"%{ord(match[0]):02X}", name).encode()


def encode(parts, boundary=BOUNDARY):
    body = b""
    for name, filename, content in parts:
        head = b'Content-Disposition: form-data; name="%b"' % escape(name)
        if filename is not None:
            head += b'; filename="%b"\r\nContent-Type: application/octet-stream' % escape(filename)
        body += b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary, head, content)
    return body + b"--%b--\r\n" % boundary


def plain(name):
    """Names that mean the same however they are read: no escapes of older browsers in them."""
    return "\\" not in name and "%" not in name


@given(st.lists((fields | files).filter(lambda part: b"--" + BOUNDARY not in part[2]), max_size=6))
def test_a_multipart_form_comes_out_as_it_went_in(parts):
    parts = [part for part in parts if plain(part[0]) and plain(part[1] or "")]
    form, found = parse_form(f"multipart/form-data; boundary={BOUNDARY.decode()}", encode(parts))
    for name in {name for name, _, _ in parts}:
        assert form.getlist(name, []) == [d.decode() for n, filename, d in parts if n == name and filename is None]
        assert [(one.name, one.body) for one in found.getlist(name, [])] == [
            (filename, d) for n, filename, d in parts if n == name and filename is not None
        ]
    assert sum(map(len, form.values())) + sum(map(len, found.values())) == len(parts)


@given(st.lists(st.tuples(texts.filter(bool), texts), max_size=8))
def test_an_urlencoded_form_comes_out_as_it_went_in(pairs):
    form, found = parse_form("application/x-www-form-urlencoded", urlencode(pairs).encode())
    assert [(name, value) for name in dict(pairs) for value in form[name]] == [
        (name, value) for name in dict(pairs) for other, value in pairs if other == name
    ]
    assert not found


kinds = st.sampled_from(["multipart/form-data", "application/x-www-form-urlencoded", "text/plain", ""])
parameters = st.text("; =boundaryXxYyZz\"\\%charset*'\xe9\t", max_size=30)
boundaries = st.sampled_from([f"; boundary={BOUNDARY.decode()}", '; boundary="XxYyZz"', ""])
pieces = st.lists(
    st.sampled_from(
        [
            b"--XxYyZz",
            b"--",
            b"\r\n",
            b"\n",
            b"Content-Disposition: form-data; name=a",
            b'; filename="',
            b";",
            b":",
            b" ",
            b"Content-Type: text/plain; charset=",
            b"punycode",
            b"utf-16",
            b"\xff\xfe",
            b"Content-Length: 2",
            b"a=1&",
            b"%",
            b"\x00",
        ]
    ),
    max_size=24,
).map(b"".join)


@given(kinds, boundaries | parameters, pieces | st.binary(max_size=80))
def test_any_bytes_are_a_form_or_a_named_refusal(kind, parameter, body):
    try:
        form, found = parse_form(kind + parameter, body)
    except (BadRequest, PayloadTooLarge):
        return
    assert all(isinstance(value, str) for values in form.values() for value in values)
    assert all(isinstance(one.body, bytes) for values in found.values() for one in values)


@given(st.lists(files, min_size=1, max_size=3), st.data())
def test_a_form_with_one_byte_changed_is_a_form_or_a_named_refusal(parts, draw):
    body = bytearray(encode(parts))
    body[draw.draw(st.integers(0, len(body) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(BadRequest, PayloadTooLarge):
        parse_form(f"multipart/form-data; boundary={BOUNDARY.decode()}", bytes(body))
