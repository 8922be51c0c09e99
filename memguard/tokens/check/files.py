"""Every file of a job against its manifest: there, of its size, with the header and index it should have."""

from __future__ import annotations

import os

from memguard.errors import InputError, ShardError
from memguard.records.manifest import FileInfo, Manifest, ShardInfo
from memguard.tokens.check.findings import Findings
from memguard.tokens.output.disk import sha256_of
from memguard.tokens.output.formats import FORMATS
from memguard.tokens.output.manifest import MANIFEST
from memguard.tokens.output.megatron_index import Index
from memguard.tokens.output.readers import ShardReader, open_reader
from memguard.tokens.tuning import Tuning

__all__ = ["FileCheck"]


class FileCheck:
    """`run` opens the shards that can be looked into; whoever calls it closes the readers."""

    def __init__(self, directory: str, manifest: Manifest, findings: Findings, tuning: Tuning) -> None:
        self._directory, self._manifest, self._findings, self._tuning = directory, manifest, findings, tuning
        self._readers: dict[str, ShardReader] = {}

    def run(self) -> dict[str, ShardReader]:
        """The readers by the name of the shard."""
        expected = {MANIFEST}
        for shard in self._manifest.shards:
            expected |= {shard.path, *(file.path for file in shard.files)}
            self._check_shard(shard)
            for file in shard.files:
                self._check_other(file)
        for file in self._manifest.offsets:
            expected.add(file.path)
            self._check_other(file)
        self._check_foreign(expected)
        return self._readers

    def _check_foreign(self, expected: set[str]) -> None:
        suffixes = {suffix for form in FORMATS.values() for suffix in form.suffixes}
        for name in sorted(os.listdir(self._directory)):
            if name in expected:
                continue
            if name.startswith("."):
                if name.endswith((".tmp", ".journal")):
                    self._findings.note(f"{name} was left by a killed memguard, or one is writing here right now")
            elif os.path.splitext(name)[1] in suffixes:
                self._findings.add("foreign", f"{name} is none of this job's files, and a loader may read it", name)
            else:
                self._findings.note(f"{name} is not in the manifest")

    def _check_shard(self, shard: ShardInfo) -> None:
        path = os.path.join(self._directory, shard.path)
        if not self._has_size(shard.path, shard.bytes):
            return
        try:
            reader = open_reader(
                path, format=self._manifest.format, dtype=self._manifest.dtype, block=self._tuning.read_ids
            )
        except (ShardError, InputError) as error:
            self._findings.add("header", error.message, shard.path)
            return
        self._readers[shard.path] = reader
        if reader.tokens != shard.tokens:
            message = f"{shard.path} holds {reader.tokens:,} tokens, the manifest says {shard.tokens:,}"
            self._findings.add("size", message, shard.path)
        if reader.layout.index is not None:
            self._check_index(reader.layout.index, reader.tokens)

    def _check_other(self, file: FileInfo) -> None:
        """An index, or where documents begin."""
        if self._has_size(file.path, file.bytes):
            self._findings.check_sha256(file.path, file.sha256, sha256_of(os.path.join(self._directory, file.path)))

    def _has_size(self, name: str, size: int) -> bool:
        """False where the file cannot be looked into."""
        try:
            found = os.stat(os.path.join(self._directory, name)).st_size
        except FileNotFoundError:
            self._findings.add("missing", f"{name} is missing", name)
            return False
        except OSError as error:
            self._findings.add("missing", f"{name} cannot be read: {error.strerror}", name)
            return False
        if found != size:
            self._findings.add("size", f"{name} has {found:,} bytes, the manifest says {size:,}", name)
        return True

    def _check_index(self, path: str, tokens: int) -> None:
        try:
            with Index(path, block=self._tuning.read_ids) as index:
                index.check(tokens)
        except (ShardError, InputError) as error:
            self._findings.add("index", error.message, os.path.basename(path))
