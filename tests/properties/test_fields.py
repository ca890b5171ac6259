"""Fields of every kind: what is set is what a client reads, and any text is taken or refused by name."""

from types import SimpleNamespace
from urllib.parse import parse_qsl, unquote, unquote_to_bytes, urlencode

from h11 import CLIENT, Connection, EndOfMessage, Request, Response
from hypothesis import given
from hypothesis import strategies as st

from sanicish.config import Config
from sanicish.exceptions import BadRequest, ContentRangeError
from sanicish.handlers import ContentRangeHandler
from sanicish.headers import Headers, is_field_name, is_field_value
from sanicish.http.forms import parse_query
from sanicish.http.forwarded import parse_forwarded
from sanicish.http.media import content_disposition
from sanicish.http1.serialize import serialize_head
from sanicish.response import redirect, text

TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
names = st.text(TOKEN, min_size=1, max_size=12)
values = st.text([chr(code) for code in range(0x20, 0x7F)] + ["\t"], max_size=30)
anything = st.text(st.characters(exclude_categories=[]), max_size=40)  # surrogates too
latin = st.text(st.characters(max_codepoint=255), max_size=80)
hostile = st.text(st.sampled_from('ab\r\n\x00\x7f\x85\xe9 :;=,"\\\u2028'), max_size=12)


def sent_and_read(headers):
    """The fields a client reads from a head with these headers."""
    judge = Connection(CLIENT)
    judge.send(Request(method="GET", target="/", headers=[("Host", "a")]))
    judge.send(EndOfMessage())
    judge.receive_data(serialize_head(204, headers, None, b"", b"", b""))
    event = judge.next_event()
    assert type(event) is Response
    return [(name.decode(), value.decode()) for name, value in event.headers]


@given(st.lists(st.tuples(names, values), max_size=8))
def test_what_is_set_is_what_a_client_reads(fields):
    fields = [(f"X-{name}", value) for name, value in fields]  # the names of framing are not the application's
    headers = Headers(fields)
    read = sent_and_read(headers)
    assert sorted(read) == sorted((name.lower(), value.strip(" \t")) for name, value in fields)
    for name, _ in fields:
        asked = [value.strip(" \t") for other, value in fields if other.lower() == name.lower()]
        assert headers.getall(name.swapcase()) == [value for other, value in read if other == name.lower()] == asked


@given(anything | hostile | names, anything | hostile | values)
def test_any_field_is_sent_as_one_field_or_refused(name, value):
    headers = Headers()
    try:
        headers.add(name, value)
    except ValueError:
        assert not (is_field_name(name) and is_field_value(value))
        assert list(headers.items()) == []
    else:
        head = serialize_head(200, headers, None, b"", b"", b"")
        assert head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r") <= 3
        assert b"\x00" not in head


@given(
    st.lists(st.tuples(st.sampled_from(["a", "A", "b"]), st.sampled_from(["set", "add", "del"]), values), max_size=12)
)
def test_headers_do_what_a_list_of_pairs_would(steps):
    headers, model = Headers(), []
    for name, step, value in steps:
        same = [pair for pair in model if pair[0].lower() == name.lower()]
        if step == "add":
            headers.add(name, value)
            model.append((name, value.strip(" \t")))
        else:
            model = [pair for pair in model if pair not in same]
            if step == "set":
                headers[name] = value
                model.append((name, value.strip(" \t")))
            else:
                headers.pop(name, None)
    assert sorted(headers.items()) == sorted(model)
    for name in "ab":
        assert headers.getall(name) == [value for other, value in model if other.lower() == name]
    assert len(headers) == len({name.lower() for name, _ in model})


@given(anything | hostile)
def test_any_content_type_is_sent_as_it_is_or_refused(value):
    try:
        response = text("x", content_type=value)
    except ValueError:
        assert not is_field_value(value)
    else:
        head = serialize_head(200, None, response.content_type, b"", b"", b"")
        assert head.count(b"\n") <= 3


@given(st.text(max_size=40) | hostile)
def test_a_redirect_leads_where_it_was_told_whatever_that_is(to):
    location = redirect(to).headers["Location"]
    assert is_field_value(location)
    assert unquote(location) == unquote(to)


@given(st.text(max_size=40) | hostile)
def test_any_name_of_a_download_comes_back_whole(name):
    field = content_disposition(name)
    assert is_field_value(field)
    plain, _, extended = field.removeprefix('attachment; filename="').partition("\"; filename*=UTF-8''")
    assert '"' not in plain.removesuffix('"')
    told = unquote_to_bytes(extended).decode() if extended else plain.removesuffix('"')
    assert told == name


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8)), max_size=8))
def test_a_query_says_what_was_put_in_it(pairs):
    assert parse_query(urlencode(pairs)) == pairs


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=80), st.booleans(), st.booleans())
def test_any_query_is_read_or_refused_by_name(query, blanks, strict):
    try:
        pairs = parse_query(query, blanks, strict)
    except BadRequest:
        assert strict
    else:
        assert all(isinstance(part, str) for pair in pairs for part in pair)


trusting = Config(
    {
        "FORWARDED_SECRET": "s3cret",
        "PROXIES_COUNT": 2,
        "REAL_IP_HEADER": "x-real-ip",
        "FORWARDED_FIELDS": "proto, host, port, path",
    },
    load_env=False,
)
forwarding = st.sampled_from(
    [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-host",
        "x-real-ip",
        "x-scheme",
    ]
)
pieces = st.lists(
    st.sampled_from(
        ["for=", '"', ",", ";", "secret=s3cret", "[::1]", ":", "_x", "by=", "\\", " ", "9", "proto=a", "="]
    ),
    max_size=16,
).map("".join)


@given(st.lists(st.tuples(forwarding, latin | pieces), max_size=6))
def test_any_field_of_a_proxy_is_read_or_left_out(fields):
    raw = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    found = parse_forwarded(Headers.from_raw(raw), trusting)
    assert "secret" not in found
    assert found.get("for") != "" and found.get("port", 1) in range(1, 65_536)


@given(pieces.filter(lambda text: "secret" not in text) | latin)
def test_nothing_before_what_our_proxy_adds_changes_what_it_says(before):
    raw = [(b"forwarded", f'{before},for="[2001:db8::1]:80";proto=https;secret=s3cret'.encode("latin-1"))]
    assert parse_forwarded(Headers.from_raw(raw), trusting) == {"for": "[2001:db8::1]", "proto": "https"}


@given(st.text("bytes=0123456789-, \xb2", max_size=20) | latin, st.integers(0, 50))
def test_any_range_is_inside_the_file_or_refused_by_name(field, total):
    request = SimpleNamespace(headers=Headers.from_raw([(b"range", field.encode("latin-1"))]))
    try:
        found = ContentRangeHandler(request, SimpleNamespace(st_size=total))
    except ContentRangeError:
        return
    assert 0 <= found.start <= found.end < total
    assert found.size == found.end + 1 - found.start


@given(st.text("ab=&+%2C;", max_size=12), st.booleans())
def test_a_query_is_read_as_the_standard_library_reads_it(query, blanks):
    assert parse_query(query, blanks) == parse_qsl(query, blanks)
