"""manifest/1: what a tokenize job read and wrote; `manifest.json` beside the shards."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EncodingInfo", "FileInfo", "InputFile", "Manifest", "ManifestPart", "ShardInfo", "parts_of"]


@dataclass(frozen=True, slots=True)
class FileInfo:
    path: str  # relative to the manifest's directory
    bytes: int
    sha256: str


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
    files: tuple[FileInfo, ...] = ()  # what belongs to it beside the file with the ids: Megatron-LM's index

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all its files."""
        return (self.path, *(file.path for file in self.files))


@dataclass(frozen=True, slots=True)
class ManifestPart:
    """One of the jobs that a merged directory was made from: its share of the inputs and of each split, in order."""

    inputs: int
    tokens: dict[str, int]  # by split
    options: dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Manifest:
    SCHEMA = "memguard.manifest/1"

    inputs: tuple[InputFile, ...]
    encoding: EncodingInfo
    dtype: str  # uint16 | uint32, little endian
    format: str  # nanogpt | npy | llmc | megatron
    shards: tuple[ShardInfo, ...]
    complete: bool
    options: dict[str, str | int | float | bool | None]
    invalid_bytes: int = 0  # bytes replaced or ignored under --errors replace|ignore
    engine: str | None = None
    version: str | None = None  # of memguard
    offsets: tuple[FileInfo, ...] = ()  # where documents begin, per split: uint64, the number of tokens last
    skipped: int = 0  # records without a text
    parts: tuple[ManifestPart, ...] = ()  # of a merged directory; empty: it is one job's


def parts_of(manifest: Manifest) -> tuple[ManifestPart, ...]:
    """The jobs that `manifest` was made from; one, where it was not merged."""
    tokens: dict[str, int] = {}
    for shard in manifest.shards:
        tokens[shard.split] = tokens.get(shard.split, 0) + shard.tokens
    return manifest.parts or (ManifestPart(len(manifest.inputs), tokens, manifest.options),)
