"""What `python -m tests.bench estimate` runs: the plans' scripts, the texts, the forms in which scripts want them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["POOLS", "SHARD_TOKENS", "SINGLE", "Run", "texts", "write_source"]

SHARD_TOKENS = 2_000_000  # so that a shard is smaller than the text
FILES = 8  # of pool-files


@dataclass(frozen=True, slots=True)
class Run:
    """One script: the plan it is, its input (text, documents, jsonl, parquet, files), its arguments behind gpt2."""

    plan: str
    program: str
    arguments: tuple[str, ...] = ()
    source: str = "text"
    label: str = ""
    val_fraction: float = 0.0
    options: tuple[tuple[str, int], ...] = ()
    needs: str = ""  # a module without which the script cannot run; it names no encoding then

    @property
    def name(self) -> str:
        return f"{self.plan} {self.label}".strip()


SINGLE = (
    Run("read-all", "plan_read_all.py", ("0.1",), val_fraction=0.1),
    Run("read-all", "plan_read_all.py", ("0",), label="no slices"),
    Run("chunked-list", "plan_chunked_list.py"),
    Run("sharded-list", "plan_sharded_list.py", (str(SHARD_TOKENS),)),
    Run("line-list", "plan_line_list.py"),
    Run("int64-list", "plan_int64_list.py"),
    Run("list-of-lists", "plan_list_of_lists.py"),
    Run("list-of-arrays", "plan_list_of_arrays.py"),
    Run("np-append", "plan_np_append.py"),
    Run("array-module", "plan_array_module.py"),
    Run("preallocated", "plan_preallocated.py"),
    Run("chunk-stream", "plan_chunk_stream.py"),
    Run("char-list", "plan_char_list.py", val_fraction=0.1),
    Run("encode-batch", "plan_encode_batch.py"),
    Run("torch-tensor", "plan_torch_tensor.py"),
    Run("tolist-shard", "plan_tolist_shard.py", (str(SHARD_TOKENS),)),
    Run("jsonl-list", "plan_jsonl_list.py", source="jsonl"),
    Run("parquet-list", "plan_parquet_list.py", ("pandas",), source="parquet", label="pandas"),
    Run("parquet-list", "plan_parquet_list.py", ("pyarrow",), source="parquet", label="pyarrow"),
    Run("iter-batches", "plan_iter_batches.py", ("1000",), "parquet", "1,000 rows", options=(("batch_rows", 1000),)),
    Run("iter-batches", "plan_iter_batches.py", ("65536",), "parquet", "65,536 rows"),
    Run("polars-list", "plan_polars_list.py", source="parquet"),
    Run("duckdb-list", "plan_duckdb.py", ("0",), "parquet"),
    Run("duckdb-batches", "plan_duckdb.py", ("1000",), "parquet", options=(("batch_rows", 1000),)),
    Run("sft-packing", "plan_sft_packing.py", source="jsonl"),
    Run("packed-lists", "plan_packed_lists.py", source="jsonl"),
    Run("webdataset", "plan_webdataset.py", source="jsonl", needs="webdataset"),
    Run("spm-bpe", "plan_sentencepiece.py", ("bpe",), needs="sentencepiece"),
    Run("spm-unigram", "plan_sentencepiece.py", ("unigram",), needs="sentencepiece"),
    Run("tokenizers-bpe", "plan_bpe_training.py", ("files",), needs="tokenizers"),
    Run("stream", ""),
)
POOLS = tuple(
    Run(plan, program, (str(workers), *more), source, f"{workers} workers", options=(("workers", workers),))
    for plan, program, source, more in (
        ("from-dict-map", "plan_from_dict_map.py", "documents", ()),
        ("datasets-map", "plan_datasets_map.py", "documents", ()),
        ("pool-files", "plan_pool_files.py", "files", ()),
        ("pool-shard", "plan_pool_shard.py", "documents", (str(SHARD_TOKENS),)),
        ("hf-map", "plan_hf_map.py", "documents", ()),
        ("hf-group-texts", "plan_hf_map.py", "documents", ("1024",)),
        ("indexed-dataset", "plan_indexed_dataset.py", "jsonl", ()),
    )
    for workers in (1, 2, 4)
)


def texts(size: int, files: list[str], made: bool) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(name, the bytes when asked for) of the texts made here, and of the beginnings of `files`."""
    if made:
        for name, make in _MADE.items():
            yield name, lambda make=make: make(size)  # type: ignore[misc]
    for file in files:
        yield Path(file).name, lambda file=file: _head(file, size)  # type: ignore[misc]


def _head(file: str, size: int) -> bytes:
    with open(file, "rb") as source:
        return source.read(size).decode("utf-8", "ignore").encode()


def _ascii(size: int) -> bytes:
    from pydoc_data.topics import topics

    once = "\n".join(topics.values()).encode("ascii", "ignore")
    return (once * (size // len(once) + 1))[:size]


def _english_then_han(size: int) -> bytes:
    half = size // 2
    # Lines of 4 to 30 characters: without any place to cut, one piece of megabytes would be another question.
    han = "".join(chr(0x4E00 + (i * 7919) % 20000) + "，。\n"[i % 3] * (i % 17 == 0) for i in range(20000)).encode()
    return _ascii(half) + (han * (half // len(han) + 1))[:half].decode("utf-8", "ignore").encode()


_MADE: dict[str, Callable[[int], bytes]] = {
    "ASCII": _ascii,
    "ASCII, emoji at the end": lambda size: _ascii(size) + "😀".encode(),
    "ASCII, č at the end": lambda size: _ascii(size) + "č".encode(),
    "ASCII, CRLF": lambda size: _ascii(size).replace(b"\n", b"\r\n")[:size],
    "English, then Han": _english_then_han,
}


def write_source(source: str, data: bytes, directory: Path) -> Path:
    """The text as the scripts want it: whole, a document of some 4 KB a line, JSON lines, a Parquet column, files."""
    path = directory / {"jsonl": "lines.jsonl", "parquet": "rows.parquet", "files": "files"}.get(
        source, f"{source}.txt"
    )
    lines = data.decode().splitlines(keepends=True)
    if source == "text":
        path.write_bytes(data)
    elif source == "documents":
        path.write_text("\n".join(_joined(lines, 4000)) + "\n", encoding="utf-8")
    elif source == "jsonl":
        path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    elif source == "parquet":
        program = "import sys, json, pyarrow, pyarrow.parquet as p; p.write_table(pyarrow.table("
        program += "{'text': json.load(sys.stdin)}), sys.argv[1])"
        subprocess.run([sys.executable, "-c", program, str(path)], input=json.dumps(lines), text=True, check=True)
    else:
        path.mkdir()
        for index in range(FILES):
            part = lines[len(lines) * index // FILES : len(lines) * (index + 1) // FILES]
            (path / f"{index}.txt").write_text("".join(part), encoding="utf-8", newline="")
    return path


def _joined(lines: list[str], chars: int) -> Iterator[str]:
    document: list[str] = []
    length = 0
    for line in lines:
        document.append(" ".join(line.split()))
        length += len(line)
        if length >= chars:
            yield " ".join(document)
            document, length = [], 0
    if document:
        yield " ".join(document)
