"""The encodings: what goes in comes out, and what was flushed can be read."""

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish.compression.coders import coders
from tests.compression.decoding import ENCODINGS, Decoder, decode

MADE = coders(ENCODINGS, {})
each_encoding = pytest.mark.parametrize("encoding", ENCODINGS)

pieces = st.lists(
    st.tuples(st.binary(max_size=300) | st.text(max_size=5).map(lambda text: text.encode() * 100), st.booleans())
)


@each_encoding
@given(pieces=pieces)
def test_what_was_compressed_piece_by_piece_is_what_was_written(encoding, pieces):
    coder = MADE[encoding](None)
    packed = b"".join(coder.compress(piece) for piece, _ in pieces) + coder.finish()
    assert decode(encoding, packed) == b"".join(piece for piece, _ in pieces)


@each_encoding
@given(pieces=pieces)
def test_every_flush_makes_readable_what_came_so_far(encoding, pieces):
    coder, decoder = MADE[encoding](None), Decoder(encoding)
    written = seen = b""
    for piece, flush in pieces:
        written += piece
        packed = coder.compress(piece) + (coder.flush() if flush else b"")
        if packed:
            seen += decoder.read(packed)
        assert not decoder.whole
        if flush:
            assert seen == written
    seen += decoder.read(coder.finish())
    assert seen == written
    assert decoder.whole


@each_encoding
def test_a_known_size_is_the_same(encoding):
    coder = MADE[encoding](5000)
    assert decode(encoding, coder.compress(b"x" * 5000) + coder.finish()) == b"x" * 5000


def test_without_names_all_that_are_installed_are_offered_the_best_first():
    assert list(coders((), {})) == ["zstd", "br", "gzip"]


def test_what_is_not_installed_is_not_offered_but_missed_when_it_is_named(monkeypatch):
    real = importlib.import_module

    def without(name, *args):
        if name.endswith(("zstd", ".br")):
            raise ModuleNotFoundError(name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    assert list(coders((), {})) == ["gzip"]
    with pytest.raises(ImportError, match=r"pip install 'sanicish\[zstd\]'"):
        coders(["zstd"], {})


@pytest.mark.parametrize(
    ("names", "levels"),
    [(["deflate"], {}), ([], {"lz4": 1}), (["gzip"], {"gzip": 99}), (["zstd"], {"zstd": 22}), (["br"], {"br": 12})],
)
def test_an_encoding_or_level_that_there_is_not_is_refused_at_once(names, levels):
    with pytest.raises(ValueError, match=r"not an encoding|has no level"):
        coders(names, levels)
