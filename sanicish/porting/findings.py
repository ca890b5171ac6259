"""One thing to change or to look at, and the edits that change it. It knows no rule and no file system."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Edit", "Finding", "apply"]


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Bytes ``start`` to ``end`` of a source are to be ``text``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A place in a program, what stands there, and what to do about it.

    ``edits`` do it where a program can do it safely. Otherwise ``must`` says that the place does not run until it is
    changed; if not, it runs, but somebody should look.
    """

    line: int
    column: int
    rule: str
    call: str
    advice: str
    must: bool = True
    edits: tuple[Edit, ...] = ()

    @property
    def kind(self) -> str:
        """``fix`` (``--fix`` does it), ``change`` (do it by hand) or ``look`` (it runs, but see)."""
        return "fix" if self.edits else "change" if self.must else "look"


def apply(data: bytes, edits: Iterable[Edit]) -> bytes:
    """The source after the edits; of two that overlap the first counts, and the other is left for the next time."""
    pieces: list[bytes] = []
    position = 0
    for edit in sorted(set(edits)):
        if edit.start < position:
            continue
        pieces += [data[position : edit.start], edit.text.encode()]
        position = edit.end
    return b"".join([*pieces, data[position:]])
