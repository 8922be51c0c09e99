"""verify/1: whether token files hold exactly the text that they were made from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Problem", "ShardCheck", "VerifyReport"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. What does not apply is None."""

    QUOTED = ("expected", "found")

    kind: str  # manifest | missing | foreign | size | header | index | sha256 | ids | text | eot | source
    message: str
    shard: str | None = None  # relative to the directory
    token: int | None = None  # index in the shard, from 0
    source: str | None = None
    offset: int | None = None  # byte in the source
    expected: str | None = None  # the source's text there
    found: str | None = None  # what the tokens say


@dataclass(frozen=True, slots=True)
class ShardCheck:
    path: str
    split: str
    tokens: int | None  # None: the file cannot be read
    bytes: int | None
    ok: bool


@dataclass(frozen=True, slots=True)
class VerifyReport:
    SCHEMA = "memguard.verify/1"

    directory: str
    ok: bool
    text_compared: bool  # False: sizes, hashes and ids alone were asked for
    format: str
    encoding: str
    dtype: str
    sources: tuple[str, ...]
    shards: tuple[ShardCheck, ...]
    problems: tuple[Problem, ...]
    tokens: int
    eot_tokens: int | None  # end-of-text tokens among them
    text_bytes: int | None  # of the sources, compared with what the tokens say
    seconds: float
    notes: tuple[str, ...] = ()
