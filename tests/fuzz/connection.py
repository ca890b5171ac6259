"""One input of the fuzzer: what a client sends, and how everybody else behaves meanwhile."""

import asyncio
import logging

from tests.doubles.answers import read_answers
from tests.properties.test_connection import BEHAVIOURS, ENDS, Errors, live

__all__ = ["check"]


def check(data: bytes) -> None:
    """Raises ``AssertionError``, or whatever the connection raises, if the invariant does not hold."""
    choice, raw = data[:4].ljust(4, b"\0"), data[4:]
    cuts = [choice[0] * step for step in range(choice[1] % 8)]
    behaviours = [BEHAVIOURS[choice[2] % len(BEHAVIOURS)], BEHAVIOURS[choice[2] // 16 % len(BEHAVIOURS)]]
    errors, logger = Errors(), logging.getLogger("sanicish.error")
    logger.addHandler(errors)
    try:
        host = asyncio.run(live(raw, cuts, behaviours, ENDS[choice[3] % len(ENDS)], bool(choice[3] & 128)))
    finally:
        logger.removeHandler(errors)
    assert not errors.lines, errors.lines
    assert host.transport.lost and host.gone, "a connection stays for ever"
    assert len(host.outcomes) == len(host.methods) and None not in host.outcomes, "an exchange without an outcome"
    assert host.protocol.wire.exchange is None
    sent = bytes(host.transport.sent).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    replies = read_answers(sent, *host.methods, "GET")
    assert len(replies) <= len(host.methods) + 1, "more answers than requests"
    assert all(reply.whole for reply in replies[:-1]), "something stands behind a response that was cut"
