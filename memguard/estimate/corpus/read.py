"""Files → Corpus: what is in them, as far as it costs memory. Reads the files; writes nothing.

All files are taken as one text, in the order given: that is what a script that reads them all holds at once. Plain
text of up to a gigabyte is scanned whole, and its tokens are counted where that takes a second; larger files are
sampled all over. Packed files, JSONL, CSV, Parquet and stdin are read as streams (documents.py). What cannot be text is
an InputError.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from memguard.errors import InputError
from memguard.estimate.corpus.documents import DocumentTally, Progress, Reading, read_stream, sample_text, tally_lines
from memguard.estimate.corpus.inputs import is_plain
from memguard.estimate.corpus.sample import Files, TokenProfile, count_tokens, repaired, sample_tokens
from memguard.estimate.corpus.scan import TextPart, TextScan, scan_files, width_of
from memguard.estimate.plans.costs import PIECE_BYTE
from memguard.estimate.tuning import TUNING
from memguard.records.estimate import ROW_BATCH, CorpusStats, Range, RowBatch, SliceStats
from memguard.system.proc import read_status
from memguard.tokens.engine.encode import Engine, load_vocabulary, make_engine
from memguard.tokens.input.source import Source
from memguard.units import MIB, format_count, format_size

__all__ = ["Corpus", "Depth", "read_corpus"]

# tiktoken is some 15 times slower: counting this much costs about as much as a sample.
SLOW_COUNT_LIMIT = 2 * MIB
# gigatoken remembers every word it sees: it is made to forget once the process has grown by this much.
FORGET_AFTER = 160 * MIB
# Enough for a steady figure of the engine's speed: at some 100 MB/s, or at 10.
_ENGINE_PIECES, _ENGINE_PIECE = 3, MIB
_TIMED_PIECES, _TIMED_PIECE = 8, 48 * 1024
_CHUNK_BYTES = 1_000_000  # the chunks of most scripts
_LONG_PIECE = 128 * 1024  # bytes: shorter ones cost some MB for a moment
_LARGEST_FILES = 256  # sizes kept: no plan has more workers


@dataclass(frozen=True, slots=True)
class Depth:
    """How closely to look: larger texts than these are sampled. `exact` reads and counts everything."""

    count_limit: int = TUNING.count_limit
    scan_limit: int = TUNING.scan_limit
    packed_limit: int = TUNING.packed_limit
    document_limit: int = TUNING.document_limit
    exact: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Corpus:
    """The stats, and what was learned on the way. Rates in bytes a second, measured on this text."""

    stats: CorpusStats
    stream_rate: float | None  # of the engine that `memguard tokenize` uses
    engine: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Findings:
    """What either way of reading ends with."""

    scan: TextScan
    profile: TokenProfile
    documents: DocumentTally
    size: int
    file_sizes: Sequence[int]
    files: Files | None  # None: a stream that cannot be read again
    whole: bool
    head_only: bool = False
    document_ends: Sequence[int] = ()
    row_group_rows: int = 0


def read_corpus(
    sources: Sequence[Source],
    encoding: str = "gpt2",
    *,
    val_fraction: float = 0.1,
    cached_int_max: int = 256,
    depth: Depth | None = None,
    text_field: str = "text",
    any_record: bool = False,
    progress: Progress | None = None,
) -> Corpus:
    """`sources`: as find_inputs gives them. `val_fraction` 0: the text is one slice. `text_field`: of JSONL records, or
    the column of a CSV or Parquet file; `any_record`: records without it are text, too. Raises InputError, ConfigError
    for an encoding that does not exist."""
    vocabulary = load_vocabulary(encoding)
    depth = depth or Depth()
    report = progress or (lambda stage, done: None)
    try:
        if all(map(is_plain, sources)):
            found, engine = _read_text(sources, encoding, cached_int_max, depth, report)
        else:
            engine = make_engine(encoding)
            fields = text_field, any_record
            found = _read_stream(sources, engine, cached_int_max, _affordable(depth, engine), fields, report)
        stats = _stats(sources, found, encoding, vocabulary.n_vocab, val_fraction)
        stream_rate = None if found.files is None else _rate(found.files, engine)
    except OSError as error:
        path = error.filename or sources[0].path
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path) from None
    except ValueError as error:
        raise InputError(f"{sources[0].path}: cannot be encoded: {error}", path=sources[0].path) from None
    return Corpus(stats, stream_rate, engine.name, _notes(found, stats))


def _affordable(depth: Depth, engine: Engine) -> Depth:
    if engine.name == "gigatoken" or depth.exact:
        return depth
    return replace(depth, count_limit=min(depth.count_limit, SLOW_COUNT_LIMIT))


def _read_text(
    sources: Sequence[Source], encoding: str, cached_int_max: int, depth: Depth, report: Progress
) -> tuple[_Findings, Engine]:
    """Plain files, which can be read at any place. The scan runs in a thread: most of it needs no interpreter."""
    paths, sizes = [source.path for source in sources], [source.size or 0 for source in sources]
    total = sum(sizes)
    files = Files(paths, [sum(sizes[:index]) for index in range(len(sizes))], total)
    draw = random.Random(total + depth.seed)
    if total > depth.scan_limit and not depth.exact:
        engine = make_engine(encoding)
        reading = sample_text(files, engine.encode, cached_int_max=cached_int_max, draw=draw)
        return _Findings(reading.scan, reading.profile, reading.documents, total, sizes, files, whole=False), engine
    with ThreadPoolExecutor(1) as pool:
        scanning = pool.submit(scan_files, paths, lambda done: report("reading", done))
        engine = make_engine(encoding)
        tally = tally_lines(files, draw)
        if total > _affordable(depth, engine).count_limit and not depth.exact:
            profile = sample_tokens(files, engine.encode, cached_int_max=cached_int_max, draw=draw)
            scan = scanning.result()
        else:
            scan = scanning.result()
            profile = _count(files, scan, engine, encoding, cached_int_max, report)
    return _Findings(scan, profile, tally, scan.size, sizes, files, whole=True), engine


def _count(
    files: Files, scan: TextScan, engine: Engine, encoding: str, cached_int_max: int, report: Progress
) -> TokenProfile:
    # The engine at hand is one of them: loading another pays from some megabytes on.
    workers = min(4, len(os.sched_getaffinity(0)), 1 + files.size // (16 * MIB))
    engines = [engine]

    def make_encode() -> Callable[[bytes], object]:
        return _forgetful(engines.pop() if engines else make_engine(encoding, engine.name))

    return count_tokens(
        files,
        make_encode,
        cached_int_max=cached_int_max,
        translate=scan.carriage_returns > 0,
        repair=bool(scan.invalid),
        workers=workers,
        progress=lambda done: report("counting tokens", done),
    )


def _read_stream(
    sources: Sequence[Source],
    engine: Engine,
    cached_int_max: int,
    depth: Depth,
    fields: tuple[str, bool],
    report: Progress,
) -> _Findings:
    reading: Reading = read_stream(
        sources,
        _forgetful(engine),
        cached_int_max=cached_int_max,
        limit=depth.packed_limit if sources[0].kind == "text" else depth.document_limit,
        count_limit=depth.count_limit,
        exact=depth.exact,
        text_field=fields[0],
        any_record=fields[1],
        progress=report,
    )
    return _Findings(
        reading.scan,
        reading.profile,
        reading.documents,
        reading.size,
        reading.file_sizes,
        None,
        whole=reading.whole,
        head_only=reading.head_only,
        document_ends=reading.document_ends,
        row_group_rows=reading.row_group_rows,
    )


def _forgetful(engine: Engine) -> Callable[[bytes], object]:
    """engine.encode, its word cache dropped whenever this process has grown too much."""
    unread = 0
    limit: int | None = None

    def encode(data: bytes) -> object:
        nonlocal unread, limit
        ids = engine.encode(data)
        unread += len(data)
        if unread >= 4 * MIB or limit is None:
            unread = 0
            used = _anonymous()
            if limit is None:
                limit = used + FORGET_AFTER
            elif used > limit:
                engine.forget()
        return ids

    return encode


def _anonymous() -> int:
    status = read_status("self")
    return (status.rss_anon or 0) if status else 0


def _rate(files: Files, engine: Engine) -> float | None:
    """Bytes a second of the engine that `stream` uses. It speeds up as it learns words: its pieces are long, and a
    first one goes untimed."""
    if engine.name == "tiktoken":
        pieces, length = _TIMED_PIECES, _TIMED_PIECE
    else:
        pieces, length = _ENGINE_PIECES, _ENGINE_PIECE
    done, seconds = 0, 0.0
    for index in range(pieces + 1):
        data, _ = files.read(files.size * index // (pieces + 1), length)
        piece = repaired(data)
        started = time.perf_counter()
        engine.encode(piece)
        if index:
            seconds += time.perf_counter() - started
            done += len(data)
    return done / seconds if seconds > 0 else None


def _stats(
    sources: Sequence[Source], found: _Findings, encoding: str, vocabulary: int, val_fraction: float
) -> CorpusStats:
    scan, profile = found.scan, found.profile
    factor = found.size / max(1, scan.size)  # 1 where everything was read
    tokens = sum(profile.tokens)
    if not tokens:
        raise InputError(f"{sources[0].path}: no text found", "is the text field empty?", path=sources[0].path)
    text_tokens, heap_ints = sum(profile.text_tokens), sum(profile.heap_ints)
    code_class, width = scan.code_class, width_of(scan.code_class)
    # Of a sample, the stretches are those that were read: what lies between is as wide as they are, or wider.
    chunk_width, chunk_wide = scan.stretches(_CHUNK_BYTES) if found.whole else (0.0, 1.0)
    return CorpusStats(
        paths=tuple(source.path for source in sources),
        bytes=found.size,
        chars=round(scan.chars * factor),
        max_code_point=scan.max_code_point,
        char_width=width,
        tokens=_range(tokens, profile.error(profile.tokens)),
        bytes_per_token=found.size / tokens,
        small_id_fraction=1 - heap_ints / text_tokens,
        documents=found.documents.count if found.whole and sources[0].kind != "text" else None,
        encoding=encoding,
        ascii=code_class == 0,
        has_0x0d=scan.has_0x0d,
        tokens_exact=profile.exact and profile.unsafe_cuts == 0,
        sampled_bytes=0 if profile.exact else profile.read_bytes,
        widening_bytes=round(scan.widening_bytes * factor),
        invalid_utf8=len(scan.invalid),
        slices=_slices(found, val_fraction),
        vocabulary=vocabulary,
        kind=sources[0].kind,
        compressed=any(source.compression is not None for source in sources),
        disk_bytes=sum(source.size or 0 for source in sources),
        document_stats=found.documents.stats(found.size),
        densest=profile.peak_density(_CHUNK_BYTES),
        densest_by_char=profile.peak_density(_CHUNK_BYTES, _places_in_chars(found)),
        row_batch=_row_batch(found),
        chunk_width=chunk_width,
        chunk_wide=chunk_wide,
        largest_files=tuple(sorted(found.file_sizes, reverse=True)[:_LARGEST_FILES]),
        # A text that has any character beyond ASCII may have an emoji where nobody looked.
        row_group_rows=found.row_group_rows,
        longest_piece=scan.longest_piece if scan.longest_piece >= _LONG_PIECE else 0,
        char_width_high=4 if not found.whole and code_class > 0 and width < 4 else 0,
    )


def _places_in_chars(found: _Findings) -> list[float]:
    """The ends of the profile's entries in characters; those of a sample by the share of it that lies before them."""
    scan, ends = found.scan, found.profile.ends
    places = np.interp(
        np.array(ends) / ends[-1], np.array(scan.byte_ends) / max(1, scan.size), np.array(scan.char_ends)
    )
    return [float(place) for place in places * (found.size / max(1, scan.size))]


def _row_batch(found: _Findings) -> RowBatch | None:
    if not found.document_ends:
        return None
    stats = found.documents.stats(found.size)
    factor = stats.count.expected / found.document_ends[-1] if stats is not None else 1.0
    return found.profile.heaviest_batch([end * factor for end in found.document_ends], ROW_BATCH)


def _slices(found: _Findings, val_fraction: float) -> tuple[SliceStats, ...]:
    """The text as the script slices it: whole, or data[:int(n·(1−v))] and the rest."""
    scan, profile = found.scan, found.profile
    errors = profile.error(profile.text_tokens), profile.error(profile.heap_ints)
    chars = scan.text_chars if found.whole else round(scan.text_chars * found.size / max(1, scan.size))
    utf8 = found.size - scan.crlf
    parts: tuple[TextPart, ...] = (TextPart(chars, utf8, scan.code_class, found.size),)
    if val_fraction and found.whole and found.files is not None:
        parts = scan.split(int(chars * (1 - val_fraction)))
    elif val_fraction:
        parts = scan.split_roughly(1 - val_fraction, utf8, chars)
    slices, before = [], (0.0, 0.0)
    for part in parts:
        until = profile.text_until(part.raw_end)
        tokens, heap_ints = until[0] - before[0], until[1] - before[1]
        before = until
        slices.append(
            SliceStats(
                chars=part.chars,
                char_width=width_of(part.code_class),
                utf8=part.utf8,
                ascii=part.code_class == 0,
                tokens=_range(tokens, errors[0]),
                boxed_tokens=_range(heap_ints, errors[1]),
            )
        )
    return tuple(slices)


def _range(value: float, error: float) -> Range:
    return Range(round(max(0.0, value * (1 - error))), round(value), round(value * (1 + error)))


def _notes(found: _Findings, stats: CorpusStats) -> tuple[str, ...]:
    scan, notes = found.scan, []
    for path, offset in scan.invalid.items():
        place = f" at byte {format_count(offset)}" if found.whole and offset is not None else ""
        notes.append(
            f"{path}: not UTF-8{place}: open(…).read() stops there with UnicodeDecodeError;"
            " memguard tokenize --errors replace goes on"
        )
    if scan.nul_at is not None:
        where = f" at offset {format_count(scan.nul_at)}" if found.whole else ""
        notes.append(f"a NUL byte{where}: is this all text?")
    if scan.carriage_returns and stats.kind == "text":
        count = format_count(scan.carriage_returns) if found.whole else "many"
        notes.append(
            f"{count} carriage returns: Python's text mode turns them into newlines"
            " (one more copy of the text meanwhile, fewer tokens); memguard tokenize keeps the bytes as they are"
        )
    if stats.longest_piece:
        notes.append(
            f"{format_size(stats.longest_piece)} without a space or another place to take the text apart:"
            f" tiktoken needs some {PIECE_BYTE} bytes for every byte of that, and time in more than proportion"
        )
    if found.head_only:
        notes.append(
            "a packed file can be read from its beginning only, and not all of it was: if the rest differs, so does"
            " the answer; --exact reads all of it"
        )
    elif not found.whole:
        notes.append("not every byte was read: a rare wide character may have been missed; --exact reads everything")
    return tuple(notes)
