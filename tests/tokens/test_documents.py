"""What a document is does not depend on blocks: every kind of input, against the documents it was made from."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memguard.errors import ConfigError, InputError
from memguard.tokens.engine.encode import load_encoding
from memguard.tokens.job import tokenize

pytestmark = pytest.mark.usefixtures("shared_engines")

EOT = 50256
WORDS = ["a", " b", "'s", "don't", " hello", "字", "。", " 12", "é", "!", " ", "\n", "\t", "  ", "\r\n"]
WORDS += ["<|endoftext|>", "\x1c\x1d\x1e\x1f", "\x1c"]  # the last two: what the engine's separator is made of
texts = st.lists(st.sampled_from(WORDS), max_size=30).map("".join)


def write(path: Path, kind: str, documents: list[str]) -> tuple[Path, dict[str, Any], list[str]]:
    """The input file, the options that read it, and the documents that it holds then."""
    if kind == "line":
        documents = [re.sub(r"\n", "", document).rstrip("\r") for document in documents]
        path.write_bytes("\r\n".join(documents).encode())
        return path, {"documents": "line"}, documents
    if kind == "blank-line":
        documents = [re.sub(r"\s*\n\s*", "\n", document).strip() for document in documents]
        path.write_bytes(("\n\n" + "\n \t\n\n".join(filter(None, documents)) + "\n\n \n").encode())
        return path, {"documents": "blank-line"}, documents
    if kind == "separator":
        documents = [document.replace("<|endoftext|>", "") for document in documents]
        path.write_bytes("<|endoftext|>".join(documents).encode())
        return path, {"separator": "<|endoftext|>"}, documents
    path = path.with_suffix(f".{kind}")
    if kind == "jsonl":
        path.write_text("".join(json.dumps({"n": 1, "text": document}) + "\n" for document in documents))
    elif kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["n", "text"], *([1, document] for document in documents)])
    else:
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({"n": [1] * len(documents), "text": documents}), path, row_group_size=3)
    return path, {}, documents


def split_of(document: str, fraction: float) -> str:
    digest = hashlib.blake2b(document.encode()[:4096], digest_size=8).digest()
    return "val" if int.from_bytes(digest, "big") < fraction * 2**64 else "train"


def tokens(documents: list[str], eot: str) -> list[int]:
    ids = []
    for document in documents:
        ids += [EOT] if eot == "prepend" else []
        ids += load_encoding("gpt2").encode_ordinary(document)
        ids += [EOT] if eot == "append" else []
    return ids


@pytest.mark.parametrize("kind", ["line", "blank-line", "separator", "jsonl", "csv", "parquet"])
@given(
    documents=st.lists(texts, min_size=1, max_size=8),
    block=st.sampled_from([1, 2, 7, 40, 300, 1 << 16]),
    eot=st.sampled_from(["append", "prepend", "none"]),
    fraction=st.sampled_from([0, 0.3]),
    workers=st.integers(1, 2),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_document_by_itself(
    tmp_path: Path, kind: str, documents: list[str], block: int, eot: str, fraction: float, workers: int
) -> None:
    path, options, documents = write(tmp_path / "in.txt", kind, documents)
    documents = [document for document in documents if document]
    if not path.stat().st_size:
        return
    out = tmp_path / "out"
    manifest = tokenize(
        [path], out, eot=eot, val_fraction=fraction, block=block, workers=workers, overwrite=True, **options
    )
    for split in ("train", "val") if fraction else ("train",):
        its = [document for document in documents if not fraction or split_of(document, fraction) == split]
        assert np.fromfile(out / f"{split}.bin", dtype="<u2").tolist() == tokens(its, eot)
        assert sum(shard.documents or 0 for shard in manifest.shards if shard.split == split) == len(its)


@pytest.mark.parametrize("options", [{"documents": "blank-line"}, {"separator": "\n\n"}])
@pytest.mark.parametrize("block", [50, 1000, 1 << 16])
def test_the_tail_begins_at_a_document(tmp_path: Path, english: str, options: dict[str, str], block: int) -> None:
    path = tmp_path / "in.txt"
    path.write_text(english[:50_000])
    tokenize([path], tmp_path / "out", val_by="tail", val_fraction=0.2, block=block, **options)
    val = np.fromfile(tmp_path / "out/val.bin", dtype="<u2").tolist()
    text = load_encoding("gpt2").decode(val[: val.index(EOT)])
    at = english.encode().index(("\n\n" + text).encode(), 39_000)
    assert 40_000 <= at + 2 < 42_000
    assert "\n\n" not in english.encode()[40_000:at].decode()


def test_offsets_are_where_documents_begin(tmp_path: Path, english: str) -> None:
    path = tmp_path / "in.txt"
    path.write_text(english)
    tokenize([path], tmp_path / "out", documents="blank-line", offsets=True, format="npy", shard_tokens=7000)
    for split in ("train", "val"):
        ids = np.concatenate([np.load(shard) for shard in sorted((tmp_path / "out").glob(f"{split}_*.npy"))])
        offsets = np.fromfile(tmp_path / f"out/{split}.offsets.bin", dtype="<u8")
        assert (offsets[1:] - 1).tolist() == np.flatnonzero(ids == EOT).tolist()
        assert (offsets[0], offsets[-1]) == (0, len(ids))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"text": "a\xff"}', "not UTF-8: byte 0xff at offset 25"),
        (b'{"text": "\\ud83d"}', "half of a surrogate pair"),
        (b'["text"]', "has no field 'text'"),
        (b'{"text": 5}', "is no text but int"),
        (b"{", "is no JSON"),
    ],
)
def test_a_bad_json_line_is_named(tmp_path: Path, line: bytes, words: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"text": "a"}\n' + line + b"\n")
    with pytest.raises(InputError, match=words) as caught:
        tokenize([path], tmp_path / "out", val_fraction=0)
    assert caught.value.path == str(path)
    assert caught.value.offset in (14, 25)


def test_replaced_bytes_are_counted_in_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"text": "a\xff"}\n{"text": "\\ud83d!"}\n')
    manifest = tokenize([path], tmp_path / "out", val_fraction=0, errors="replace")
    assert np.fromfile(tmp_path / "out/train.bin", dtype="<u2").tolist() == tokens(["a\ufffd", "\ufffd!"], "append")
    assert manifest.invalid_bytes == 2


@pytest.mark.parametrize("options", [{"documents": "blank-line"}, {"documents": "line"}, {}])
@pytest.mark.parametrize("block", [64, 1 << 16])
def test_a_bad_byte_is_named_in_documents_too(tmp_path: Path, options: dict[str, str], block: int) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(b"good words\n\n" * 100 + b"bad \xff\n\n" + b"more words\n\n" * 100)
    with pytest.raises(InputError, match="offset 1,204") as caught:
        tokenize([path], tmp_path / "out", val_fraction=0, block=block, **options)
    assert caught.value.offset == 1204


def test_a_record_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"text": "x" * 5_000_000}) + "\n")
    with pytest.raises(InputError, match=r"in\.jsonl.*(longer than|no safe place)"):
        tokenize([path], tmp_path / "out", val_fraction=0)


def test_documents_by_hash_stay_on_their_side(tmp_path: Path, english: str) -> None:
    """The same document is val in every job, wherever it stands."""
    documents = english.split("\n\n")
    sides = []
    for number, order in enumerate((documents, documents[::-1])):
        path = tmp_path / f"{number}.txt"
        path.write_text("\n\n".join(order))
        out = tmp_path / f"out{number}"
        tokenize([path], out, documents="blank-line", val_fraction=0.2)
        val = load_encoding("gpt2").decode(np.fromfile(out / "val.bin", dtype="<u2").tolist()).split("<|endoftext|>")
        sides.append(sorted(val))
    assert sides[0] == sides[1]
    assert 0.1 < len(sides[0]) / len(documents) < 0.3


def test_tail_of_what_has_no_known_size_is_refused(tmp_path: Path) -> None:
    path, _, _ = write(tmp_path / "in", "csv", ["a", "b"])
    with pytest.raises(ConfigError, match="no known size"):
        tokenize([path], tmp_path / "out", val_by="tail")
