"""Headers: any case, several values, their order, and nothing in them that could break the head."""

import pytest

from sanicish.headers import Headers, check_field, is_field_name, is_field_value, split_tokens

# What would end a field line or the head, or is no character of a field (RFC 9110 section 5.5).
UNSENDABLE = ["a\r\nSet-Cookie: x=1", "a\nb", "a\rb", "a\x00b", "a\x7fb", "a\x0bb", "a\x1bb", "\r", "\n"]
NOT_ASCII = ["\xe9", "a\x85b", "\u20ac", "a\u2028b", "\udc80"]
NOT_NAMES = ["", " ", "a b", "a:", "a\r\nb", "a\n", "a\x00", "\xe9", "a,b", "(a)", 'a"', "a/b", "[a]", "a=b", "{a}"]


def test_a_field_is_found_in_any_case():
    headers = Headers({"Content-Type": "text/csv"})
    assert headers["content-type"] == headers["CONTENT-TYPE"] == headers.get("Content-type") == "text/csv"
    assert "cOnTeNt-TyPe" in headers


def test_a_name_is_sent_as_it_was_written():
    assert list(Headers({"X-My-ID": "1"}).items()) == [("X-My-ID", "1")]


def test_a_missing_field_raises_and_get_gives_the_default():
    headers = Headers()
    with pytest.raises(KeyError):
        headers["x"]
    with pytest.raises(KeyError):
        del headers["x"]
    assert headers.get("x") is None and headers.get("x", "y") == "y" and headers.getone("x", "y") == "y"


def test_setting_replaces_every_value_in_any_case():
    headers = Headers([("X", "1"), ("x", "2")])
    headers["X"] = "3"
    assert list(headers.items()) == [("X", "3")]


def test_adding_keeps_the_values_that_are_there_in_order():
    headers = Headers({"Set-Cookie": "a=1"})
    headers.add("set-cookie", "b=2")
    headers.add("SET-COOKIE", "c=3")
    assert headers["Set-Cookie"] == headers.getone("set-cookie") == "a=1"
    assert headers.getall("set-cookie") == headers.get_all("Set-Cookie") == ["a=1", "b=2", "c=3"]
    assert headers.getlist("set-cookie") == ["a=1", "b=2", "c=3"]


def test_getall_of_a_missing_field_is_empty_or_the_default():
    assert Headers().getall("x") == []
    assert Headers().getall("x", None) == []
    assert Headers().getall("x", ["y"]) == ["y"]


def test_fields_keep_the_order_in_which_their_names_came():
    headers = Headers([("B", "1"), ("A", "2"), ("C", "3"), ("b", "4")])
    assert list(headers) == ["B", "A", "C"]
    assert list(headers.items()) == [("B", "1"), ("b", "4"), ("A", "2"), ("C", "3")]


def test_a_list_as_value_gives_one_field_for_each_member():
    headers = Headers({"Set-Cookie": ["a=1", "b=2"], "Vary": ("Accept", "Origin"), "X": []})
    assert headers.getall("set-cookie") == ["a=1", "b=2"]
    assert headers.getall("vary") == ["Accept", "Origin"]
    assert "x" not in headers


def test_len_counts_names_and_items_counts_fields():
    headers = Headers([("A", "1"), ("a", "2"), ("B", "3")])
    assert (len(headers), len(headers.items()), len(list(headers.items()))) == (2, 3, 3)


def test_items_know_what_they_hold_and_can_be_shown():
    items = Headers([("A", "1"), ("a", "2")]).items()
    assert ("a", "2") in items
    assert ("A", "2") not in items
    assert "('a', '2')" in repr(items)


def test_headers_can_be_shown():
    assert repr(Headers([("A", "1"), ("a", "2")])) == "Headers([('A', '1'), ('a', '2')])"


def test_headers_are_equal_to_what_says_the_same_in_any_case():
    assert Headers({"A": "1"}) == Headers({"a": "1"}) == {"A": "1"}
    assert Headers({"A": "1"}) != Headers([("a", "1"), ("a", "2")])
    assert (Headers({"A": "1"}) == 5) is False


def test_headers_can_change_and_so_have_no_hash():
    with pytest.raises(TypeError, match="unhashable"):
        hash(Headers())


def test_numbers_and_bytes_become_text():
    headers = Headers({"Content-Length": 5, "X": b"bytes"})
    assert (headers["content-length"], headers["x"]) == ("5", "bytes")


def test_blanks_around_a_value_are_no_part_of_it():
    assert Headers({"X": " \ta b\t "})["x"] == "a b"


def test_an_empty_value_is_a_value():
    assert list(Headers({"X": ""}).items()) == [("X", "")]


def test_none_is_not_a_value():
    headers = Headers()
    with pytest.raises(ValueError, match="X"):
        headers["X"] = None
    with pytest.raises(ValueError, match="X"):
        headers.add("X", None)
    assert not headers


@pytest.mark.parametrize("value", [*UNSENDABLE, *NOT_ASCII])
def test_a_value_that_could_break_the_head_is_refused_where_it_is_set(value):
    headers = Headers({"X": "old"})
    for change in (
        lambda: headers.__setitem__("X", value),
        lambda: headers.add("X", value),
        lambda: headers.update({"X": value}),
        lambda: headers.extend({"X": [value]}),
        lambda: headers.setdefault("Y", value),
        lambda: Headers({"X": value}),
    ):
        with pytest.raises(ValueError, match="cannot be sent"):
            change()
    assert list(headers.items()) == [("X", "old")]


@pytest.mark.parametrize("value", [b"a\r\nb", b"a\x00", b"\xe9"])
def test_bytes_are_held_to_the_same_rule_as_text(value):
    with pytest.raises(ValueError, match="cannot be sent"):
        Headers()["X"] = value


@pytest.mark.parametrize("name", NOT_NAMES)
def test_a_name_that_is_no_token_is_refused_where_it_is_set(name):
    headers = Headers()
    for change in (
        lambda: headers.__setitem__(name, "1"),
        lambda: headers.add(name, "1"),
        lambda: Headers({name: "1"}),
    ):
        with pytest.raises(ValueError, match="not a header name"):
            change()
    assert len(headers) == 0 and list(headers) == []


@pytest.mark.parametrize("name", [None, 5, b"X", ("X",)])
def test_a_name_that_is_no_text_is_refused(name):
    headers = Headers()
    for change in (lambda: headers.__setitem__(name, "1"), lambda: headers.add(name, "1")):
        with pytest.raises(ValueError, match="not a header name"):
            change()


def test_a_refused_value_leaves_nothing_behind():
    headers = Headers()
    with pytest.raises(ValueError, match="cannot be sent"):
        headers.add("X", "a\r\nb")
    assert "x" not in headers
    assert list(headers) == list(headers.items()) == []


def test_a_value_whose_text_breaks_the_head_is_refused_though_it_is_no_text_itself():
    class Sneaky:
        def __str__(self):
            return "a\r\nSet-Cookie: x=1"

    with pytest.raises(ValueError, match="cannot be sent"):
        Headers()["X"] = Sneaky()


def test_text_of_a_subclass_is_taken_for_what_it_holds():
    class Sneaky(str):
        def __str__(self):
            return "other"

    assert Headers({"X": Sneaky("a")})["X"] == "a"
    with pytest.raises(ValueError, match="cannot be sent"):
        Headers({"X": Sneaky("a\r\nb")})


def test_frozen_headers_refuse_every_change_and_can_still_be_read():
    headers = Headers({"A": "1"})
    headers.freeze()
    for change in (
        lambda: headers.__setitem__("A", "2"),
        lambda: headers.__delitem__("A"),
        lambda: headers.add("B", "2"),
        lambda: headers.update({"B": "2"}),
        lambda: headers.extend([("B", "2")]),
        lambda: headers.setdefault("B", "2"),
        lambda: headers.pop("A"),
        lambda: headers.popitem(),
        lambda: headers.clear(),
    ):
        with pytest.raises(RuntimeError, match="has left"):
            change()
    assert headers == {"A": "1"}


def test_a_copy_of_frozen_headers_can_be_changed_and_leaves_them_alone():
    headers = Headers({"A": "1"})
    headers.freeze()
    copy = headers.copy()
    copy.add("A", "2")
    assert copy.getall("a") == ["1", "2"]
    assert headers.getall("a") == ["1"]


def test_fields_can_be_taken_out():
    headers = Headers([("A", "1"), ("a", "2"), ("B", "3")])
    assert headers.pop("a") == "1"
    assert "A" not in headers
    assert headers.pop("a", None) is None
    del headers["b"]
    assert not headers


def test_received_fields_keep_order_case_and_8_bit():
    headers = Headers.from_raw([(b"x-b", b"1"), (b"X-A", b"caf\xe9"), (b"x-b", b"2")])
    assert list(headers.items()) == [("x-b", "1"), ("x-b", "2"), ("X-A", "caf\xe9")]


def test_a_received_field_that_is_not_ascii_is_not_sent_on_by_chance():
    received = Headers.from_raw([(b"x", b"caf\xe9")])
    with pytest.raises(ValueError, match="cannot be sent"):
        Headers(received)


def test_check_field_gives_the_text_to_send():
    assert check_field("X", 5) == "5"
    assert check_field("X", " a\t") == "a"


def test_the_questions_about_names_and_values():
    assert is_field_name("X-!#$%&'*+.^_`|~09") and not is_field_name("X Y") and not is_field_name("X\n")
    assert is_field_value("a\t b~") and is_field_value("") and not is_field_value("a\n")


def test_a_list_of_tokens_is_split_without_its_empty_members():
    assert split_tokens(" Close ,, keep-alive,\t") == ["close", "keep-alive"]
    assert split_tokens("") == split_tokens(" , ") == []
