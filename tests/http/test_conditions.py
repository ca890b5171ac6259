"""Validators and preconditions, in the order of RFC 9110."""

import os
from time import time

import pytest

from sanicish.http.conditions import Validators, file_validators, http_date, precondition, range_is_wanted

NOW = 1_700_000_000
STATE = Validators('"v1"', NOW + 0.5)
WEAK = Validators('W/"v1"', NOW + 0.5)
SAME, BEFORE, AFTER = http_date(NOW), http_date(NOW - 1), http_date(NOW + 1)


def status(method="GET", state=STATE, **fields):
    return precondition(method, {name.replace("_", "-"): value for name, value in fields.items()}.get, state)


def wanted(condition, state=STATE):
    return range_is_wanted({"if-range": condition}.get if condition else {}.get, state)


# 8.8.1, 8.8.3: entity tags of files


def test_a_file_that_rests_has_a_strong_tag(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    os.utime(path, (time() - 60, time() - 60))
    found = file_validators(path.stat())
    assert found.etag.startswith('"') and found.modified == path.stat().st_mtime


def test_a_file_that_was_changed_just_now_has_a_weak_tag(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    assert file_validators(path.stat()).etag.startswith('W/"')


def test_another_size_or_time_is_another_tag(tmp_path):
    path = tmp_path / "f"
    tags = set()
    for content, moment in ((b"abc", 1), (b"abcd", 1), (b"abc", 2)):
        path.write_bytes(content)
        os.utime(path, (moment, moment))
        tags.add(file_validators(path.stat()).etag)
    assert len(tags) == 3


# 13.1.1 to 13.1.4


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"if_match": '"v1"'}, None),
        ({"if_match": '"v0", "v1"'}, None),
        ({"if_match": "*"}, None),
        ({"if_match": '"v0"'}, 412),
        ({"if_match": 'W/"v1"'}, 412),
        ({"if_match": "nonsense"}, 412),
        ({"if_unmodified_since": SAME}, None),
        ({"if_unmodified_since": AFTER}, None),
        ({"if_unmodified_since": BEFORE}, 412),
        ({"if_unmodified_since": "nonsense"}, None),
        ({"if_none_match": '"v0"'}, None),
        ({"if_none_match": '"v1"'}, 304),
        ({"if_none_match": '"v0", W/"v1"'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_modified_since": SAME}, 304),
        ({"if_modified_since": AFTER}, 304),
        ({"if_modified_since": BEFORE}, None),
        ({"if_modified_since": "nonsense"}, None),
    ],
)
def test_a_condition_holds_or_is_answered(fields, expected):
    assert status(**fields) == expected


def test_a_weak_tag_matches_only_weakly():
    assert status(state=WEAK, if_match='"v1"') == 412
    assert status(state=WEAK, if_none_match='"v1"') == 304


def test_a_method_that_changes_things_is_refused_where_a_read_is_answered():
    assert status("PUT", if_none_match='"v1"') == 412
    assert status("PUT", if_none_match="*") == 412
    assert status("PUT", if_modified_since=SAME) is None


# 13.2.2: order


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"if_match": '"v1"', "if_unmodified_since": BEFORE}, None),
        ({"if_match": '"v0"', "if_none_match": '"v1"'}, 412),
        ({"if_none_match": '"v0"', "if_modified_since": AFTER}, None),
        ({"if_unmodified_since": BEFORE, "if_none_match": '"v1"'}, 412),
    ],
)
def test_the_stronger_condition_comes_first(fields, expected):
    assert status(**fields) == expected


def test_without_validators_only_a_tag_that_must_match_fails():
    assert status(state=Validators(), if_match='"v1"') == 412
    assert status(state=Validators(), if_modified_since=SAME) is None


# 13.1.5: If-Range


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (None, True),
        ('"v1"', True),
        ('"v0"', False),
        ('W/"v1"', False),
        (SAME, True),
        (AFTER, False),
        (BEFORE, False),
        ("x", False),
    ],
)
def test_a_range_counts_for_this_very_state_only(condition, expected):
    assert wanted(condition) is expected


@pytest.mark.parametrize("condition", ['"v1"', 'W/"v1"', SAME])
def test_a_weak_state_has_no_ranges_under_a_condition(condition):
    assert not wanted(condition, WEAK)
