"""Files → Corpus: what is in them, as far as it costs memory. Reads the files; writes nothing.

All files are taken as one text, in the order given: that is what a script that reads them all holds at once. The scan
reads every byte (exact), tokens are counted where the fast engine is there and the files are small, and sampled
elsewhere. What cannot be text (a missing or empty file, a directory, a binary file) is an InputError.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from memguard.errors import InputError
from memguard.estimate.sample import Files, TokenProfile, count_tokens, sample_tokens
from memguard.estimate.scan import Part, TextScan, scan_files, width_of
from memguard.records.estimate import CorpusStats, Range, SliceStats
from memguard.system.proc import read_status
from memguard.tokens.encode import Engine, load_encoding, load_vocabulary, make_engine
from memguard.units import MIB, format_count

__all__ = ["COUNT_LIMIT", "Corpus", "check_files", "read_corpus"]

# About a second of the fast engine's time.
COUNT_LIMIT = 128 * MIB
# tiktoken is some 15 times slower: counting this much costs about as much as a sample.
SLOW_COUNT_LIMIT = 2 * MIB
# gigatoken remembers every word it sees: it is made to forget once the process has grown by this much.
FORGET_AFTER = 96 * MIB
# Enough for a steady figure of tiktoken's speed, at some 10 MB/s.
PROBE_BYTES = 192 * 1024
ENGINE_PROBE_BYTES = 5 * MIB

# A NUL in a text this far in is an oddity of the text; before it, the file is no text.
_BINARY_HEAD = 64 * 1024

_MAGIC = (
    (b"\x1f\x8b", "gzip", "unpack it first: gunzip -k {path}"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unpack it first: unzstd {path}"),
    (b"\xfd7zXZ\0", "xz", "unpack it first: unxz -k {path}"),
    (b"BZh", "bzip2", "unpack it first: bunzip2 -k {path}"),
    (b"PK\x03\x04", "zip", "unpack it first: unzip {path}"),
    (b"PAR1", "Parquet", "write its text column to a text file first"),
    (b"\xff\xfe", "UTF-16", "convert it first: iconv -f UTF-16 -t UTF-8 {path} > text.txt"),
    (b"\xfe\xff", "UTF-16", "convert it first: iconv -f UTF-16 -t UTF-8 {path} > text.txt"),
    (b"%PDF-", "PDF", "extract its text first: pdftotext {path}"),
)

Progress = Callable[[str, int], None]  # stage ("reading" or "counting tokens"), bytes done since the last call


@dataclass(frozen=True, slots=True)
class Corpus:
    """The stats, and what was learned on the way. Rates in bytes a second, measured on this text."""

    stats: CorpusStats
    stream_rate: float | None  # of the engine that `memguard tokenize` uses
    tiktoken_rate: float | None
    engine: str
    notes: tuple[str, ...]


def read_corpus(
    paths: Sequence[str],
    encoding: str = "gpt2",
    *,
    val_fraction: float = 0.1,
    cached_int_max: int = 256,
    count_limit: int = COUNT_LIMIT,
    seed: int = 0,
    progress: Progress | None = None,
) -> Corpus:
    """`val_fraction` 0: the text is one slice. `count_limit`: larger inputs are sampled."""
    report = progress or (lambda stage, done: None)
    check_files(paths)
    vocabulary = load_vocabulary(encoding)
    engine = make_engine(encoding)
    try:
        scan = scan_files(paths, lambda done: report("reading", done))
        files = Files(scan.paths, scan.starts, scan.size)
        profile = _profile(scan, files, engine, cached_int_max, count_limit, seed, report)
        stats = _stats(scan, profile, encoding, vocabulary.n_vocab, val_fraction)
        tiktoken_rate = _probe_tiktoken(files, encoding)
        stream_rate = tiktoken_rate if engine.name == "tiktoken" else _probe_engine(files, engine)
    except OSError as error:
        path = error.filename or paths[0]
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path) from None
    except ValueError as error:
        raise InputError(f"{paths[0]}: cannot be encoded: {error}", path=paths[0]) from None
    return Corpus(stats, stream_rate, tiktoken_rate, engine.name, _notes(scan))


def _profile(
    scan: TextScan,
    files: Files,
    engine: Engine,
    cached_int_max: int,
    count_limit: int,
    seed: int,
    report: Progress,
) -> TokenProfile:
    """Counts where that takes about a second, samples elsewhere."""
    translate, repair = scan.carriage_returns > 0, bool(scan.invalid)
    if engine.name != "gigatoken":
        count_limit = min(count_limit, SLOW_COUNT_LIMIT)
    if scan.size > count_limit:
        return sample_tokens(
            files, engine.encode, cached_int_max=cached_int_max, translate=translate, repair=repair, seed=seed
        )
    return count_tokens(
        files,
        _forgetful(engine),
        cached_int_max=cached_int_max,
        translate=translate,
        repair=repair,
        progress=lambda done: report("counting tokens", done),
    )


def check_files(paths: Sequence[str]) -> None:
    """Raises InputError for whatever is not a readable, non-empty text file."""
    for path in paths:
        if path == "-":
            raise InputError("stdin cannot be estimated: it can be read only once", "name a file", path=path)
        try:
            info = os.stat(path)
            if stat.S_ISDIR(info.st_mode):
                pattern = os.path.join(path, "*.txt")
                raise InputError(f"{path}: is a directory", f"name its files: memguard estimate {pattern}", path=path)
            if not stat.S_ISREG(info.st_mode):
                raise InputError(f"{path}: is not a regular file", "name a file that can be read twice", path=path)
            if info.st_size == 0:
                raise InputError(f"{path}: is empty", "there is nothing to estimate", path=path)
            with open(path, "rb") as file:
                _check_head(path, file.read(_BINARY_HEAD))
        except FileNotFoundError:
            raise InputError(f"{path or repr(path)}: no such file", _nearby(path), path=path) from None
        except OSError as error:
            raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path) from None


def _check_head(path: str, head: bytes) -> None:
    for magic, kind, hint in _MAGIC:
        if head.startswith(magic):
            raise InputError(f"{path}: is a {kind} file, not plain UTF-8 text", hint.format(path=path), path=path)
    place = head.find(b"\0")
    if place >= 0:
        raise InputError(
            f"{path}: is binary (a NUL byte at offset {place}), not text",
            "estimate reads plain UTF-8 text",
            path=path,
            offset=place,
        )


def _nearby(path: str) -> str:
    import difflib

    directory, name = os.path.split(path)
    try:
        names = os.listdir(directory or ".")
    except OSError:
        return ""
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {os.path.join(directory, close[0])}?" if close else ""


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


def _probe_tiktoken(files: Files, encoding: str) -> float | None:
    """Bytes a second of tiktoken on pieces from all over this text: what every plan but `stream` waits for."""
    encode = load_encoding(encoding).encode_ordinary
    return _rate(files, 8, PROBE_BYTES // 8, encode, lambda data: data.decode("utf-8", "ignore"))


def _probe_engine(files: Files, engine: Engine) -> float | None:
    """Bytes a second of the fast engine, one core. It speeds up as it learns words, so its pieces are long."""
    return _rate(files, 5, ENGINE_PROBE_BYTES // 5, engine.encode, lambda d: d.decode("utf-8", "ignore").encode())


def _rate(
    files: Files, pieces: int, length: int, encode: Callable[[Any], Any], prepare: Callable[[bytes], Any]
) -> float | None:
    """Bytes a second over `pieces` of `length` bytes; a first one goes untimed, it fills caches."""
    encode(prepare(files.read(0, length)[0]))
    done, seconds = 0, 0.0
    for index in range(pieces):
        data, _ = files.read(files.size * index // pieces, length)
        piece = prepare(data)
        started = time.perf_counter()
        encode(piece)
        seconds += time.perf_counter() - started
        done += len(data)
    return done / seconds if seconds > 0 else None


def _stats(scan: TextScan, profile: TokenProfile, encoding: str, vocabulary: int, val_fraction: float) -> CorpusStats:
    tokens = sum(profile.tokens)
    text_tokens, boxed = sum(profile.text_tokens), sum(profile.boxed)
    code_class = scan.code_class
    return CorpusStats(
        paths=tuple(scan.paths),
        bytes=scan.size,
        chars=scan.chars,
        max_code_point=scan.max_code_point,
        char_width=width_of(code_class),
        tokens=_range(tokens, profile.error(profile.tokens)),
        bytes_per_token=scan.size / tokens,
        small_id_fraction=1 - boxed / text_tokens,
        documents=None,
        encoding=encoding,
        ascii=code_class == 0,
        has_0x0d=scan.has_0x0d,
        tokens_exact=profile.exact and profile.unsafe_cuts == 0,
        sampled_bytes=0 if profile.exact else profile.read_bytes,
        widening_bytes=scan.widening_bytes,
        invalid_utf8=len(scan.invalid),
        slices=_slices(scan, profile, val_fraction),
        vocabulary=vocabulary,
    )


def _slices(scan: TextScan, profile: TokenProfile, val_fraction: float) -> tuple[SliceStats, ...]:
    """The text as the script slices it: whole, or data[:int(n·(1−v))] and the rest."""
    errors = profile.error(profile.text_tokens), profile.error(profile.boxed)
    parts: tuple[Part, ...] = (scan.whole(),)
    if val_fraction:
        parts = scan.split(int(scan.text_chars * (1 - val_fraction)))
    slices, before = [], (0.0, 0.0)
    for part in parts:
        until = profile.text_until(part.raw_end)
        tokens, boxed = until[0] - before[0], until[1] - before[1]
        before = until
        slices.append(
            SliceStats(
                chars=part.chars,
                char_width=width_of(part.code_class),
                utf8=part.utf8,
                ascii=part.code_class == 0,
                tokens=_range(tokens, errors[0]),
                boxed_tokens=_range(boxed, errors[1]),
            )
        )
    return tuple(slices)


def _range(value: float, error: float) -> Range:
    return Range(round(max(0.0, value * (1 - error))), round(value), round(value * (1 + error)))


def _notes(scan: TextScan) -> tuple[str, ...]:
    notes = []
    for path, offset in scan.invalid.items():
        notes.append(
            f"{path}: not UTF-8 at byte {format_count(offset)}: open(…).read() stops there with UnicodeDecodeError;"
            " memguard tokenize --errors replace goes on"
        )
    if scan.nul_at is not None:
        notes.append(f"a NUL byte at offset {format_count(scan.nul_at)}: is this all text?")
    if scan.carriage_returns:
        notes.append(
            f"{format_count(scan.carriage_returns)} carriage returns: Python's text mode turns them into newlines"
            " (one more copy of the text meanwhile, fewer tokens); memguard tokenize keeps the bytes as they are"
        )
    return tuple(notes)
