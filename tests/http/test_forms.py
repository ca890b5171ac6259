"""Forms: urlencoded and multipart, whole, cut, broken and too large."""

import tracemalloc
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish import text
from sanicish.exceptions import BadRequest, PayloadTooLarge, SanicException
from sanicish.http.forms import File, RequestParameters, parse_form, parse_query
from sanicish.response import json
from tests.doubles.wire import Wire

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=XX"


def part(head, data, boundary=b"XX"):
    return b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary, head, data)


def field(name, data, *more):
    head = b'Content-Disposition: form-data; name="%b"' % name
    return part(b"\r\n".join([head, *more]), data)


def upload(name, filename, data, *more):
    head = b'Content-Disposition: form-data; name="%b"; filename="%b"' % (name, filename)
    return part(b"\r\n".join([head, *more]), data)


END = b"--XX--\r\n"


# Names with several values


def test_get_is_the_first_value_and_getlist_all_of_them():
    values = RequestParameters({"a": ["1", "2"]})
    assert values.get("a") == "1" and values.getlist("a") == ["1", "2"] and values["a"] == ["1", "2"]


def test_a_missing_name_gives_the_default():
    values = RequestParameters()
    assert values.get("a") is None and values.get("a", "x") == "x"
    assert values.getlist("a") is None and values.getlist("a", []) == []
    with pytest.raises(KeyError):
        values["a"]


# Queries


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a=&b=2&c", [("b", "2")]),
        ("a=%20b+c%2B", [("a", " b c+")]),
        ("%C3%A9=%E2%82%AC", [("\xe9", "\u20ac")]),
        ("a=%FF", [("a", "\ufffd")]),
        ("a=%zz%", [("a", "%zz%")]),
        ("a=b=c", [("a", "b=c")]),
        ("a=1;b=2", [("a", "1;b=2")]),
        ("&&=&", []),
    ],
)
def test_a_query_is_read_as_pairs_in_order(text, pairs):
    assert parse_query(text) == pairs


def test_blank_values_are_kept_if_asked_for():
    assert parse_query("a=&b&c=1", keep_blank_values=True) == [("a", ""), ("b", ""), ("c", "1")]


def test_another_encoding_and_its_errors_can_be_asked_for():
    assert parse_query("a=%E9", encoding="latin-1") == [("a", "\xe9")]
    assert parse_query("a=%FFb", errors="ignore") == [("a", "b")]


@pytest.mark.parametrize("text", ["a", "a=1&b", "&", "a=%FF"])
def test_strict_reading_refuses_what_is_no_query(text):
    with pytest.raises(BadRequest):
        parse_query(text, strict=True, errors="strict")


def test_an_absent_query_is_no_error_to_strict_reading():
    assert parse_query("", strict=True) == []


def test_a_query_of_too_many_fields_is_refused():
    assert len(parse_query("a=1&" * 999 + "a=1")) == 1000
    with pytest.raises(BadRequest):
        parse_query("a=1&" * 1000 + "a=1")


# Urlencoded forms


def test_an_urlencoded_form_keeps_blanks_and_duplicates():
    form, files = parse_form(URLENCODED, b"a=1&b=&a=2&c=%C3%A9+x")
    assert form == {"a": ["1", "2"], "b": [""], "c": ["\xe9 x"]}
    assert files == {}


@pytest.mark.parametrize(
    "content_type",
    [URLENCODED, "Application/X-WWW-Form-URLencoded", f"{URLENCODED}; charset=utf-8", f" {URLENCODED} ;charset=x"],
)
def test_the_media_type_is_told_by_its_name_alone(content_type):
    assert parse_form(content_type, b"a=1")[0] == {"a": ["1"]}


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json", "multipart/mixed; boundary=XX", ";"])
def test_what_is_no_form_has_no_fields(content_type):
    assert parse_form(content_type, b"a=1") == ({}, {})


def test_bytes_that_are_no_utf_8_are_replaced():
    assert parse_form(URLENCODED, b"a=\xff")[0] == {"a": ["\ufffd"]}


def test_too_many_urlencoded_fields_are_too_large():
    assert len(parse_form(URLENCODED, b"&".join([b"a=1"] * 1000))[0]["a"]) == 1000
    with pytest.raises(PayloadTooLarge):
        parse_form(URLENCODED, b"&".join([b"a=1"] * 1001))


# Peaks are of the memory that parsing takes, in times the size of the form: a body of 1 MiB of escapes once took 80.
@pytest.mark.parametrize(
    ("piece", "times"), [(b"%41", 6), (b"a%41", 6), (b"%", 16), (b"%4", 12), (b"%4z", 30), (b"a+", 6)]
)
def test_memory_for_an_urlencoded_form_is_in_proportion(piece, times):
    body = b"a=" + piece * (500_000 // len(piece))
    tracemalloc.start()
    form, _ = parse_form(URLENCODED, body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < times * len(body)
    assert form["a"] == [unquote_plus(piece.decode()) * (500_000 // len(piece))]


@given(st.lists(st.sampled_from(["%", "%4", "1", "=", "%C3%A9", "%ff", "+", "\n", "\r", " ", "g", "%25", "%0a", "."])))
def test_escapes_are_undone_as_the_standard_library_undoes_them(pieces):
    text = "".join(pieces)
    assert parse_form(URLENCODED, f"a={text}".encode())[0] == {"a": [unquote_plus(text)]}


def test_urlencoded_form_above_the_limit_is_too_large():
    assert parse_form(URLENCODED, b"a=" + b"x" * 98, max_size=100)[0] == {"a": ["x" * 98]}
    with pytest.raises(PayloadTooLarge, match="REQUEST_MAX_FORM_SIZE"):
        parse_form(URLENCODED, b"a=" + b"x" * 99, max_size=100)


@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART])
@pytest.mark.parametrize("coding", ["gzip", "br, gzip", "x"])
def test_compressed_form_is_an_unsupported_media_type(content_type, coding):
    with pytest.raises(SanicException) as caught:
        parse_form(content_type, b"a=1", coding=coding)
    assert (caught.value.status_code, caught.value.headers) == (415, {"Accept-Encoding": "identity"})


def test_identity_is_no_coding():
    assert parse_form(URLENCODED, b"a=1", coding=" Identity ")[0] == {"a": ["1"]}


# Multipart forms


def test_a_multipart_form_has_fields_and_files():
    body = (
        field(b"a", b"1")
        + field(b"a", b"")
        + upload(b"f", b"x.csv", b"1,2\r\n3,4", b"Content-Type: text/csv")
        + upload(b"f", b"y", b"\x00\xff")
        + END
    )
    form, files = parse_form(MULTIPART, body)
    assert form == {"a": ["1", ""]}
    assert files == {
        "f": [File("text/csv", b"1,2\r\n3,4", "x.csv"), File("application/octet-stream", b"\x00\xff", "y")]
    }
    assert files.get("f").type == "text/csv" and files.get("f").body == b"1,2\r\n3,4" and files.get("f").name == "x.csv"


def test_a_file_has_the_names_of_flask_too():
    file = File("text/csv", b"1,2", "x.csv")
    assert (file.filename, file.content_type, file.read()) == ("x.csv", "text/csv", b"1,2")


@pytest.mark.parametrize(
    ("parameters", "name", "filename"),
    [
        (b"name=\"f\"; filename*=utf-8''d%C3%A9j%C3%A0.bin", "f", "d\xe9j\xe0.bin"),
        (b"name=f; filename*=UTF-8'fr'd%C3%A9j%C3%A0.bin", "f", "d\xe9j\xe0.bin"),
        (b"name=f; filename* = iso-8859-1''d%E9j.bin", "f", "d\xe9j.bin"),
        (b"name=f; FileName*=\"utf-8''x%20y.bin\"", "f", "x y.bin"),
        (b"filename*=utf-8''%E2%82%AC.bin; filename=\"_.bin\"; name=f", "f", "\u20ac.bin"),
        (b"name=f; filename=\"_.bin\"; filename*=utf-8''%E2%82%AC.bin", "f", "\u20ac.bin"),
        (b"name*=utf-8''%C3%A9; filename*=utf-8''x", "\xe9", "x"),
        (b"name=f; filename*=nonsense''x%20y", "f", "nonsense''x%20y"),
        (b"name=f; filename*=plain.bin", "f", "plain.bin"),
        (b"name=f; filename*=utf-8''", "f", ""),
        (b"name=f; filename*=utf-8''%FF", "f", "\ufffd"),
        (b"name=\"a; filename*=utf-8''x\"; filename=y", "a; filename*=utf-8''x", "y"),
    ],
)
def test_a_file_may_be_named_by_an_extended_parameter(parameters, name, filename):
    body = part(b"Content-Disposition: form-data; " + parameters, b"\xff\x00") + END
    form, files = parse_form(MULTIPART, body)
    assert form == {}
    assert files == {name: [File("application/octet-stream", b"\xff\x00", filename)]}


def test_name_that_looks_like_an_extended_parameter_makes_no_file():
    name = b"a; filename*=utf-8''x"
    assert parse_form(MULTIPART, field(name, b"1") + END) == ({name.decode(): ["1"]}, {})


def test_fields_count_towards_the_limit_and_files_do_not():
    body = field(b"a", b"x" * 60) + upload(b"f", b"x", b"y" * 1_000) + field(b"b", b"x" * 40) + END
    form, files = parse_form(MULTIPART, body, max_size=100)
    assert (len(form), len(files["f"][0].body)) == (2, 1_000)
    with pytest.raises(PayloadTooLarge, match="REQUEST_MAX_FORM_SIZE"):
        parse_form(MULTIPART, body, max_size=99)


def test_a_file_nobody_chose_is_an_empty_file_without_a_name():
    _, files = parse_form(MULTIPART, upload(b"f", b"", b"", b"Content-Type: application/octet-stream") + END)
    assert files == {"f": [File("application/octet-stream", b"", "")]}


def test_names_are_utf_8_and_quotes_in_them_are_percent_encoded():
    form, files = parse_form(
        MULTIPART,
        field("\xe9%22\u20ac".encode(), b"1")
        + upload(b"f", 'd\xe9j\xe0 "x".txt'.replace('"', "%22").encode(), b"")
        + END,
    )
    assert list(form) == ['\xe9"\u20ac']
    assert files["f"][0].name == 'd\xe9j\xe0 "x".txt'


def test_a_path_some_clients_send_is_cut_to_its_name():
    assert parse_form(MULTIPART, upload(b"f", rb"C:\dir\x.txt", b"") + END)[1]["f"][0].name == "x.txt"


def test_a_field_is_read_in_the_charset_it_names():
    body = field(b"a", b"caf\xe9", b"Content-Type: text/plain; charset=ISO-8859-1") + field(b"b", "\xe9".encode()) + END
    assert parse_form(MULTIPART, body)[0] == {"a": ["caf\xe9"], "b": ["\xe9"]}


@pytest.mark.parametrize(
    "charset", [b"utf-8", b"UTF8", b"us-ascii", b"windows-1252", b"koi8-r", b"Shift_JIS", b"gb18030"]
)
def test_the_charsets_of_forms_are_known(charset):
    body = field(b"a", b"abc", b"Content-Type: text/plain; charset=" + charset) + END
    assert parse_form(MULTIPART, body)[0] == {"a": ["abc"]}


# punycode takes time that grows with the square of the data, idna and undefined fail in ways of their own, and each
# unknown name that is looked up stays in memory.
@pytest.mark.parametrize(
    "charset",
    [
        b"nonsense",
        b"punycode",
        b"idna",
        b"undefined",
        b"base64",
        b"rot13",
        b"unicode_escape",
        b'"a\x00b"',
        b"iso-8859-99",
        b"iso-8859-12",
    ],
)
def test_a_charset_no_form_is_sent_in_is_refused(charset):
    with pytest.raises(BadRequest, match="charset"):
        parse_form(MULTIPART, field(b"a", b"x-y", b"Content-Type: text/plain; charset=" + charset) + END)


def test_the_data_of_a_file_is_left_alone_whatever_charset_it_names():
    _, files = parse_form(MULTIPART, upload(b"f", b"x", b"\xff", b"Content-Type: text/plain; charset=nonsense") + END)
    assert files["f"] == [File("text/plain", b"\xff", "x")]


def test_data_that_looks_like_a_boundary_is_data():
    data = b"--XX\r\n--X\r\n\r\n--XY--"
    assert parse_form(MULTIPART, upload(b"f", b"x", data[4:]) + END)[1]["f"][0].body == data[4:]


def test_what_stands_around_the_parts_is_ignored():
    body = b"preamble\r\n" + field(b"a", b"1") + END + b"epilogue"
    assert parse_form(MULTIPART, body)[0] == {"a": ["1"]}


def test_a_form_without_parts_is_empty():
    assert parse_form(MULTIPART, END) == ({}, {})


WHOLE = field(b"a", b"1") + upload(b"f", b"x", b"data") + END


def test_a_form_that_was_cut_anywhere_is_never_taken_for_a_whole_one():
    for end in range(len(WHOLE) - 2):
        with pytest.raises(BadRequest):
            parse_form(MULTIPART, WHOLE[:end])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", WHOLE),
        ("multipart/form-data; boundary=", WHOLE),
        ('multipart/form-data; boundary=""', WHOLE),
        ("multipart/form-data; boundary=YY", WHOLE),
        ("multipart/form-data; boundary=\u20ac", WHOLE),
        ("multipart/form-data; boundary=\udcff", WHOLE),
        (MULTIPART, WHOLE.replace(b"\r\n", b"\n")),
        (MULTIPART, part(b"X-Other: 1", b"1") + END),
        (MULTIPART, part(b"Content-Disposition: attachment; name=a", b"1") + END),
        (MULTIPART, part(b"no colon", b"1") + END),
        (MULTIPART, field(b"\xff", b"1") + END),
        (MULTIPART, field(b"a", b"1", b"Content-Length: 5") + END),
        (MULTIPART, field(b"a", b"1", b"Content-Length: -1") + END),
        (MULTIPART, b"junk" + WHOLE),
        (MULTIPART, b"--XXjunk" + WHOLE),
    ],
)
def test_a_broken_form_is_a_bad_request(content_type, body):
    with pytest.raises(BadRequest):
        parse_form(content_type, body)


def test_a_form_without_a_boundary_is_told_what_it_lacks():
    with pytest.raises(BadRequest, match="needs a boundary"):
        parse_form("multipart/form-data", WHOLE)


def test_too_many_parts_are_too_large():
    assert len(parse_form(MULTIPART, field(b"a", b"1") * 1000 + END)[0]["a"]) == 1000
    with pytest.raises(PayloadTooLarge):
        parse_form(MULTIPART, field(b"a", b"1") * 1001 + END)


def test_a_part_with_too_large_a_head_is_too_large():
    with pytest.raises(PayloadTooLarge):
        parse_form(MULTIPART, field(b"a", b"1", b"X-A: " + b"x" * 8192) + END)
    with pytest.raises(PayloadTooLarge):
        parse_form(MULTIPART, field(b"a", b"1", *[b"X-A: x"] * 20) + END)


# On the wire


async def post(address, content_type, body):
    async with Wire(address) as wire:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (
            content_type,
            len(body),
        )
        wire.send(head + body)
        return await wire.answer("POST")


async def test_a_handler_reads_a_form_that_came_over_the_wire(app, serve):
    @app.post("/")
    async def handler(request):
        one = request.files.get("f")
        return json(
            {"form": request.form, "get": request.form.get("a"), "file": [one.type, one.body.decode(), one.name]}
        )

    answer = await post(await serve(app), MULTIPART.encode(), WHOLE)
    assert answer.body == (b'{"form":{"a":["1"]},"get":"1","file":["application/octet-stream","data","x"]}')


async def test_a_request_that_is_no_form_has_neither_fields_nor_files(app, serve):
    @app.post("/")
    async def handler(request):
        return json([request.form, request.files])

    assert (await post(await serve(app), b"text/plain", b"a=1")).body == b"[{},{}]"


@pytest.mark.parametrize("content_type", [MULTIPART.encode(), b"multipart/form-data"])
async def test_a_broken_form_is_answered_with_400_and_a_sentence(app, serve, content_type):
    @app.post("/")
    async def handler(request):
        return json(request.form)

    answer = await post(await serve(app), content_type, WHOLE[:-6])
    assert answer.status == 400
    assert b"multipart form" in answer.body


@pytest.mark.parametrize("head", ["a=", f"--XX\r\n{'Content-Disposition: form-data; name=a'}\r\n\r\n"])
async def test_form_of_many_escapes_is_answered_with_413_that_names_the_setting(app, serve, head):
    @app.post("/")
    async def handler(request):
        return json(request.form)

    kind = URLENCODED if head == "a=" else MULTIPART
    answer = await post(await serve(app), kind.encode(), head.encode() + b"%41" * 1_000_000)
    assert answer.status == 413
    assert b"1048576 bytes" in answer.body and b"REQUEST_MAX_FORM_SIZE" in answer.body


async def test_a_form_of_too_many_fields_is_answered_with_413(app, serve):
    @app.post("/")
    async def handler(request):
        return json(request.form)

    assert (await post(await serve(app), URLENCODED.encode(), b"a=1&" * 1001)).status == 413


def test_the_limits_of_forms_are_settings(app):
    app.post("/")(lambda request: text(str(len(request.form))))
    app.config.REQUEST_MAX_FORM_PARTS = 3
    assert app.test_client.post("/", data={"a": "1", "b": "2", "c": "3"})[1].text == "3"
    assert app.test_client.post("/", data={"a": "1", "b": "2", "c": "3", "d": "4"})[1].status == 413


def test_size_of_forms_is_a_setting(app):
    app.post("/")(lambda request: text(str(len(request.form["a"][0]))))
    app.config.REQUEST_MAX_FORM_SIZE = 10
    assert app.test_client.post("/", data={"a": "12345678"})[1].text == "8"
    assert app.test_client.post("/", data={"a": "123456789"})[1].status == 413
    app.config.REQUEST_MAX_FORM_SIZE = None
    assert app.test_client.post("/", data={"a": "x" * 2_000_000})[1].text == "2000000"
