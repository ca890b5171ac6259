"""What a client wants most, by the weights of its ``Accept`` fields (RFC 9110 12.4.2, 12.5.3)."""

import re
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["choose_encoding", "weight_of"]

_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


@lru_cache(maxsize=256)
def choose_encoding(accepted: str, offered: Sequence[str]) -> str | None:
    """The name among ``offered`` that is wanted most, the earlier one of equals; ``None`` for no encoding at all."""
    weights = _weights(accepted)
    best, most = None, 0.0
    for name in offered:
        weight = weights.get(name, 0.0)
        if weight > most:
            best, most = name, weight
    return None if weights.get("identity", 0.0) > most else best


def weight_of(parameters: Sequence[str]) -> float:
    """The weight among the lower-case parameters of one item, 1 without any, 0 for one that is not a weight."""
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key == "q":
            return float(value) if _WEIGHT.fullmatch(value) else 0.0
    return 1.0


def _weights(accepted: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for one in accepted.split(","):
        name, *parameters = (part.strip(" \t").lower() for part in one.split(";"))
        weights["gzip" if name == "x-gzip" else name] = weight_of(parameters)  # RFC 9110 8.4.1.3
    if "*" in weights:  # who takes anything is sent what everything can read
        weights.setdefault("gzip", weights["*"])
    return weights
