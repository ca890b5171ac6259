"""The words of llhttp, by which the parser chooses the status of a refusal. They are no interface of httptools: a version
that changes one fails here, and needs a change in ``RequestParser._feed`` or ``_refusal``."""

from importlib.metadata import version

import httptools
import pytest

KEPT = b"GET / HTTP/1.1\r\n\r\n"


def refusal(*pieces):
    """The error for the last piece; those before it are taken."""
    parser = httptools.HttpRequestParser(object())
    for piece in pieces[:-1]:
        parser.feed_data(piece)
    with pytest.raises(httptools.HttpParserError) as caught:
        parser.feed_data(pieces[-1])
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("pieces", "error", "text"),
    [
        ([b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", KEPT], "HttpParserError", "Data after `Connection: close`"),
        ([b"GET / HTTP/1.0\r\n\r\n", KEPT], "HttpParserError", "Data after `Connection: close`"),
        ([b"GET / HTTP/3.0\r\n\r\n"], "HttpParserError", "Invalid HTTP version"),
        ([b"GET / HTTP/1.9\r\n\r\n"], "HttpParserError", "Invalid HTTP version"),
        ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], "HttpParserError", "Pause on PRI/Upgrade"),
        ([b"DESCRIBE / HTTP/1.1\r\n"], "HttpParserError", "Invalid method for HTTP/x.x request"),
        ([b"NONE / HTTP/1.1\r\n"], "HttpParserInvalidMethodError", "Invalid method encountered"),
        ([b"GET /\x00 HTTP/1.1\r\n"], "HttpParserInvalidURLError", "Invalid char in url path"),
    ],
)
def test_a_refusal_has_the_words_that_the_parser_reads(pieces, error, text):
    kind, said = refusal(*pieces)
    assert (kind.__name__, said) == (error, text), f"httptools {version('httptools')}"
