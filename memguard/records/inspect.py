"""inspect/1: what one token file holds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["IdRange", "InspectReport", "TokenCount"]


@dataclass(frozen=True, slots=True)
class TokenCount:
    QUOTED = ("text",)

    id: int
    text: str | None  # None: no encoding is known, or it has no such id
    count: int


@dataclass(frozen=True, slots=True)
class IdRange:
    """Ids from `first` to `last`, both included."""

    first: int
    last: int
    count: int


@dataclass(frozen=True, slots=True)
class InspectReport:
    SCHEMA = "memguard.inspect/1"
    QUOTED = ("first_text", "last_text")

    path: str
    bytes: int
    format: str
    dtype: str
    reason: str  # what the format and the dtype were told by
    header_bytes: int
    tokens: int
    documents: int | None  # as an index says; None: the format has none
    encoding: str | None
    encoding_reason: str
    n_vocab: int | None
    smallest_id: int | None  # None: no tokens
    largest_id: int | None
    distinct_ids: int
    unknown_ids: int | None  # tokens that the encoding does not have
    eot_tokens: int | None
    small_id_fraction: float | None  # ids ≤ 256, which cost nothing in a Python list
    text_bytes: int | None  # what the tokens say, end-of-text tokens left out
    first_text: str | None
    last_text: str | None
    most_frequent: tuple[TokenCount, ...]
    ranges: tuple[IdRange, ...]
    notes: tuple[str, ...] = ()
