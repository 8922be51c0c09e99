"""Makes directories as a finished tokenize job leaves them, without the job: for the tests of what reads them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from memguard.records.manifest import EncodingInfo, FileInfo, InputFile, Manifest, ShardInfo
from memguard.tokens.engine.encode import load_encoding, load_vocabulary
from memguard.tokens.output.formats import FORMATS
from memguard.tokens.output.manifest import write_manifest

EOT = 50256


def finished_job(
    directory: Path,
    texts: dict[str, str],
    *,
    form: str = "nanogpt",
    dtype: str = "uint16",
    eot: str = "append",
    shard_tokens: int | None = None,
    val_share: float = 0.25,
) -> Manifest:
    """Each text is a source file beside `directory`, and one document. `val_share` of the tokens, from the end, are
    val."""
    directory.mkdir()
    encoding = load_encoding("gpt2")
    inputs, ids, ends = [], [], []
    for name, text in texts.items():
        path = directory.parent / name
        data = text.encode()
        path.write_bytes(data)
        inputs.append(
            InputFile(str(path), len(data), path.stat().st_mtime, hashlib.sha256(data[: 1 << 20]).hexdigest())
        )
        tokens = encoding.encode_ordinary(text)
        ids += [EOT, *tokens] if eot == "prepend" else [*tokens, EOT] if eot == "append" else tokens
        ends.append(len(ids))
    division = round(len(ids) * (1 - val_share))
    splits = {"train": (0, division), "val": (division, len(ids))} if val_share else {"train": (0, len(ids))}
    shards = []
    for split, (start, stop) in splits.items():
        size = shard_tokens or max(1, stop - start)
        for number, first in enumerate(range(start, max(stop, start + 1), size)):
            last = min(first + size, stop)
            shards.append(_shard(directory, form, dtype, split, number, first, ids[first:last], ends))
    vocabulary = load_vocabulary("gpt2")
    manifest = Manifest(
        inputs=tuple(inputs),
        encoding=EncodingInfo("gpt2", vocabulary.n_vocab, vocabulary.eot),
        dtype=dtype,
        format=form,
        shards=tuple(shards),
        complete=True,
        options={"eot": eot, "errors": "strict", "val_fraction": val_share},
    )
    write_manifest(str(directory), manifest)
    return manifest


def _shard(
    directory: Path, form: str, dtype: str, split: str, number: int, first: int, ids: list[int], ends: list[int]
) -> ShardInfo:
    layout = FORMATS[form]
    name = layout.shard_name(split, number)
    shard = layout.open(str(directory / f".{name}.tmp"), dtype=dtype, n_vocab=50257)
    start = 0
    for end in [end - first for end in ends if first < end <= first + len(ids)]:
        shard.write(np.array(ids[start:end], dtype=np.uint32))
        shard.end_document()
        start = end
    shard.write(np.array(ids[start:], dtype=np.uint32))
    main, *others = shard.finish()
    for file in (main, *others):
        os.rename(file.temp_path, directory / file.final_name(name))
    files = tuple(FileInfo(file.final_name(name), file.bytes, file.sha256) for file in others)
    return ShardInfo(name, split, len(ids), shard.documents, main.bytes, main.sha256, files)
