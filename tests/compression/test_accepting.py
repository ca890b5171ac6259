"""Accept-Encoding, as RFC 9110 12.5.3 has it."""

import pytest

from sanicish.http.negotiation import choose_encoding

OFFERED = ("zstd", "br", "gzip")


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("gzip;q=1, br;q=0.9", "gzip"),
        ("gzip ; Q=0.5 , br ; q=0.4", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.000", None),
        ("gzip;q=0, br;q=0.001", "br"),
        ("identity;q=1, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, deflate", None),
        ("*", "gzip"),
        ("*;q=0", None),
        ("gzip;q=0, *", None),
        ("br;q=0.1, *;q=0.5", "gzip"),
        ("deflate, compress", None),
        ("gzip;q=2", None),
        ("gzip;q=high", None),
        ("gzip;q=-1", None),
        ("gzip;level=9", "gzip"),
        (",, gzip ,,", "gzip"),
        ("gzipped", None),
    ],
)
def test_what_is_wanted_most(accepted, chosen):
    assert choose_encoding(accepted, OFFERED) == chosen


def test_nothing_is_chosen_that_is_not_offered():
    assert choose_encoding("zstd, br;q=0.9, gzip;q=0.5", ("gzip",)) == "gzip"
    assert choose_encoding("zstd", ("gzip",)) is None
