"""manifest/1: what a tokenize job read and wrote; `manifest.json` beside the shards."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EncodingInfo", "InputFile", "Manifest", "ShardInfo"]


@dataclass(frozen=True, slots=True)
class InputFile:
    path: str
    bytes: int
    mtime: float | None  # None: no regular file (stdin, a pipe)
    sha256_head: str  # SHA-256 of the first MiB


@dataclass(frozen=True, slots=True)
class EncodingInfo:
    name: str
    n_vocab: int
    eot: int | None


@dataclass(frozen=True, slots=True)
class ShardInfo:
    path: str  # relative to the manifest's directory
    split: str  # train | val
    tokens: int
    documents: int | None
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    SCHEMA = "memguard.manifest/1"

    inputs: tuple[InputFile, ...]
    encoding: EncodingInfo
    dtype: str  # uint16 | uint32, little endian
    format: str  # nanogpt
    shards: tuple[ShardInfo, ...]
    complete: bool
    options: dict[str, str | int | float | bool | None]
    invalid_bytes: int = 0  # bytes replaced or ignored under --errors replace|ignore
    engine: str | None = None
    version: str | None = None  # of memguard
