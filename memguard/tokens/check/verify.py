"""Are these token files what their manifest says, and do they hold exactly the text that they were made from?

Every file is there, complete, and of the size, header and SHA-256 that the manifest names; no file is there that a
loader would read by mistake; every id is one of the encoding's; the tokens, turned back into bytes, are the source's
bytes, one by one, with the end-of-text tokens exactly where documents end. Everything is read once, in a stream.

That the tokens are the ones tiktoken would have chosen does not follow from that; tokenize answers for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from memguard.errors import InputError
from memguard.records.manifest import InputFile, Manifest, parts_of
from memguard.records.verify import ShardCheck, VerifyReport
from memguard.tokens.check.comparison import Comparison
from memguard.tokens.check.decode import Decoder
from memguard.tokens.check.expected import options_of
from memguard.tokens.check.files import FileCheck
from memguard.tokens.check.findings import Findings
from memguard.tokens.check.ids import IdCheck
from memguard.tokens.check.texts import TextCheck
from memguard.tokens.output.manifest import MANIFEST, read_manifest
from memguard.tokens.output.readers import ShardReader, TokenProgress
from memguard.tokens.tuning import TUNING, Tuning

__all__ = ["verify"]


def verify(
    directory: str | os.PathLike[str],
    *,
    text: bool = True,
    sources: list[str] | None = None,
    progress: Callable[[TokenProgress], None] | None = None,
    tuning: Tuning = TUNING,
) -> VerifyReport:
    """`text` False leaves the source alone: sizes, headers, hashes and ids only. `sources` are the source files where
    they no longer stand under the names that the manifest gives, in the same order.

    Raises InputError where the directory holds no manifest, or a source cannot be read.
    """
    path = os.fspath(directory)
    manifest = _manifest(path)
    inputs = _inputs(manifest, sources)
    started, findings = time.monotonic(), Findings()
    eot = options_of(manifest, parts_of(manifest)[0]).eot_place
    decoder = Decoder(manifest.encoding.name, silent=None if eot == "none" else manifest.encoding.eot)
    if not manifest.complete:
        findings.add("manifest", f"{MANIFEST} says that the job was not finished")
    readers = FileCheck(path, manifest, findings, tuning).run()
    ids = IdCheck(manifest, readers, decoder, eot, findings, progress)
    comparisons: list[Comparison] = []
    try:
        if text and all(shard.path in readers for shard in manifest.shards):
            comparisons = TextCheck(manifest, inputs, ids, decoder, eot, findings, tuning.compare_step).run()
        ids.drain()  # what was not compared is still hashed, and its ids looked at
    finally:
        for reader in readers.values():
            reader.close()
    return _report(path, manifest, inputs, readers, comparisons, findings, started)


def _manifest(directory: str) -> Manifest:
    if not os.path.isdir(directory):
        what = "is a file" if os.path.exists(directory) else "does not exist"
        raise InputError(f"{directory} {what}", "give the directory that memguard tokenize wrote", path=directory)
    manifest = read_manifest(directory)
    if manifest is None:
        raise InputError(
            f"{directory} holds no {MANIFEST}, so there is nothing to hold the files against",
            "give the directory that memguard tokenize wrote; memguard inspect FILE looks at one file",
            path=os.path.join(directory, MANIFEST),
        )
    if "part" in manifest.options:
        part, count = manifest.options["part"], manifest.options["part_count"]
        raise InputError(
            f"{directory} is part {part} of a job of {count}, not all of it",
            "join the parts (memguard merge), and verify what comes of it",
            path=directory,
        )
    return manifest


def _report(
    directory: str,
    manifest: Manifest,
    inputs: tuple[InputFile, ...],
    readers: dict[str, ShardReader],
    comparisons: list[Comparison],
    findings: Findings,
    started: float,
) -> VerifyReport:
    checks = []
    for shard in manifest.shards:
        reader = readers.get(shard.path)
        tokens, size = (reader.tokens, reader.size) if reader else (None, None)
        ok = not any(map(findings.has, (shard.path, *(file.path for file in shard.files))))
        checks.append(ShardCheck(shard.path, shard.split, tokens, size, ok))
    return VerifyReport(
        directory=directory,
        ok=not findings.problems,
        text_compared=bool(comparisons),
        format=manifest.format,
        encoding=manifest.encoding.name,
        dtype=manifest.dtype,
        sources=tuple(source.path for source in inputs),
        shards=tuple(checks),
        problems=tuple(findings.problems),
        tokens=sum(check.tokens or 0 for check in checks),
        eot_tokens=sum(one.eot_tokens for one in comparisons) if comparisons else None,
        text_bytes=sum(one.text_bytes for one in comparisons) if comparisons else None,
        seconds=time.monotonic() - started,
        notes=tuple(findings.notes),
    )


def _inputs(manifest: Manifest, sources: list[str] | None) -> tuple[InputFile, ...]:
    """The manifest's inputs, under the names they have now."""
    if sources is None:
        return manifest.inputs
    if len(sources) != len(manifest.inputs):
        raise InputError(
            f"the tokens were made from {len(manifest.inputs)} sources, not from {len(sources)}",
            "give all of them, in the order that the manifest names them in",
            path=sources[0] if sources else "",
        )
    return tuple(
        InputFile(path, known.bytes, known.mtime, known.sha256_head)
        for path, known in zip(sources, manifest.inputs, strict=True)
    )
