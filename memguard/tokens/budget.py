"""How `--max-memory` is divided: workers, block size, room for the word cache, the longest piece. Pure.

All in one process: threads share the interpreter and numpy, and the engines release the GIL while they work.
"""

from __future__ import annotations

from dataclasses import dataclass

from memguard.errors import ConfigError
from memguard.units import KIB, MIB, format_size

__all__ = [
    "BARE_PROCESS",
    "CACHE_FLOOR",
    "CACHE_PER_BYTE",
    "DEFAULT_MEMORY",
    "READERS",
    "Budget",
    "divide",
    "least_memory",
    "lowered_limit",
]

DEFAULT_MEMORY = 256 * MIB

# Anonymous memory, measured with CPython 3.11, numpy 2.4 and gigatoken 0.10 (`python -m tests.bench tokenize memory`
# prints the sum).
BARE_PROCESS = 24 * MIB  # interpreter, numpy, the engine's code, the vocabulary, progress display
# What reading costs beside the blocks, by kind of file or compression: zstd's window (8 MiB at most), xz's dictionary
# (64 MiB at xz -9), bzip2's block, pyarrow with its buffers.
READERS = {
    "gzip": MIB,
    "bzip2": 8 * MIB,
    "xz": 68 * MIB,
    "zstd": 12 * MIB,
    "parquet": 48 * MIB,
    "jsonl": 4 * MIB,
    "csv": 4 * MIB,
}
_MARGIN = 12 * MIB  # what the allocator keeps of freed blocks, and what these figures are off by
_ENGINE = 32 * MIB  # one gigatoken tokenizer's tables
_TIKTOKEN = 30 * MIB  # tiktoken's tables, shared by all workers
_WORKER_FLOOR = 26 * MIB  # cache and blocks of a worker, at least
_WORKER_GOOD = 40 * MIB  # with less, one more worker forgets its words too often to gain anything: only when asked for
# Bytes of memory per byte of block, in a worker and in its share of the queue: the bytes themselves (twice while one
# is read), 4 per id and 2 per id as written, at one id per byte at worst.
_PER_BLOCK_BYTE = 16
# Engines need up to 25 bytes per byte of a single piece (one word without any place to cut).
_PER_PIECE_BYTE = 25
# tiktoken's ids are a Python list first: 8 + 32 bytes each, and 4 in Rust.
_PER_TIKTOKEN_BYTE = 48
# A cache of c bytes peaks at 2.3 c while its hash table doubles (gigatoken 0.10, random words, any size of cache); the
# rest is for what is under way when several threads grow at once.
_GROWTH = 2.7
# Bytes that a word cache grows by per byte of text, at worst (random words): memory is looked at once per block.
CACHE_PER_BYTE = 11
# A cache of words is never asked to be smaller, however short memory is: it is what a job of the least memory has, and
# holds the words of 600 KiB of the worst text.
CACHE_FLOOR = 6 * MIB


@dataclass(frozen=True, slots=True)
class Budget:
    """`max_memory` is the promise; the rest follows from it. Sizes in bytes."""

    max_memory: int
    workers: int
    block: int  # bytes of text per task
    longest_piece: int  # bytes without a place to cut, at most
    cache_limit: int  # anonymous memory at which a word cache is dropped, in a process that holds nothing else
    cache_floor: int  # what memory pressure may lower that to
    cache: int  # of which this is one worker's word cache


def divide(
    max_memory: int, workers: int | None, cores: int, engine: str, block: int | None = None, reader: int = 0
) -> Budget:
    """`workers` and `block` as asked for, the workers as far as `max_memory` holds them; None: chosen. `reader`: bytes
    that the input needs (READERS).

    Raises ConfigError where `max_memory` does not hold one worker.
    """
    process, per_engine = _bare(engine, reader)
    least, shared = per_engine + _WORKER_FLOOR, process + _MARGIN
    possible = (max_memory - shared) // least
    if possible < 1:
        raise ConfigError(
            f"a tokenize job does not fit into --max-memory {format_size(max_memory)}",
            f"give it at least {format_size(shared + least)}",
        )
    good = (max_memory - shared) // (per_engine + _WORKER_GOOD)
    workers = min(workers, possible) if workers else max(1, min(cores, good))
    spare = (max_memory - shared) // workers - per_engine
    per_byte = _PER_BLOCK_BYTE if engine == "gigatoken" else _PER_BLOCK_BYTE + _PER_TIKTOKEN_BYTE
    chosen = block or max(64 * KIB, min(MIB // 2, spare // 8 // per_byte))
    cache = max(0, round((spare - chosen * per_byte) / _GROWTH) - chosen * CACHE_PER_BYTE)
    cache_limit = process + workers * (per_engine + cache)
    return Budget(
        max_memory=max_memory,
        workers=workers,
        block=chosen,
        longest_piece=max(chosen, spare // _PER_PIECE_BYTE),
        cache_limit=cache_limit,
        cache_floor=min(cache_limit, process + workers * (per_engine + CACHE_FLOOR)),
        cache=cache,
    )


def least_memory(engine: str, reader: int = 0) -> int:
    """The smallest `max_memory`, in bytes, that holds a job: one worker."""
    process, per_engine = _bare(engine, reader)
    return process + _MARGIN + per_engine + _WORKER_FLOOR


def lowered_limit(limit: int, memory: int, floor: int) -> int:
    """The limit at which word caches are dropped, after somebody has asked for memory while `memory` was in use: what
    the job had then was too much, so that it shall not come near it again."""
    return min(limit, max(floor, memory * 3 // 4))


def _bare(engine: str, reader: int) -> tuple[int, int]:
    """Anonymous memory without any text: of the process, and of each worker's engine."""
    if engine == "gigatoken":
        return BARE_PROCESS + reader, _ENGINE
    return BARE_PROCESS + _TIKTOKEN + reader, 0
