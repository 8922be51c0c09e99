"""Before a fast engine's work is trusted: a sample of the real input, encoded by tiktoken as well.

The sample is spread over the whole input where it can be (plain text files), else it is the input's beginning. It is
checked beside the first blocks; the job stops on the first difference, before anything counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from memguard.errors import InputError
from memguard.tokens.engine.encode import Engine, drop_encodings, load_encoding
from memguard.tokens.input.source import ByteReader, Source
from memguard.tokens.input.utf8 import Bytes
from memguard.units import KIB

__all__ = ["check_engine", "check_on_input", "sample_places"]

_PLACES = 32
_PIECE = 2 * KIB  # bytes at each place: the whole sample costs tiktoken about 10 ms


def sample_places(sources: list[Source]) -> list[tuple[Source, int]]:
    """One place in the middle of each of 32 equal parts of all plain text files together."""
    plain = [source for source in sources if source.text_size and not source.once]
    total = sum(source.text_size or 0 for source in plain)
    places = []
    for number in range(_PLACES if total else 0):
        at = total * (2 * number + 1) // (2 * _PLACES)
        for source in plain:
            size = source.text_size or 0
            if at < size:
                places.append((source, at))
                break
            at -= size
    return places


def check_engine(engine: Engine, encoding: str, samples: Sequence[tuple[str, Bytes]]) -> None:
    """`samples` are (where, text). Raises InputError where the engine's tokens are not tiktoken's."""
    oracle = load_encoding(encoding)
    for where, data in samples:
        text = data.decode("utf-8", "ignore")
        expected, found = oracle.encode_ordinary(text), engine.encode(text.encode()).tolist()
        if expected != found:
            first = next((n for n, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), 0)
            raise InputError(
                f"{engine.name} does not give tiktoken's tokens for {encoding}: {where}, "
                f"from {oracle.decode(expected[first : first + 8])!r} on",
                "--engine tiktoken is slower and right; please report this text",
                path=where,
            )


def check_on_input(make_engine: Callable[[], Engine], encoding: str, sources: list[Source], head: list[Bytes]) -> None:
    """`head`: documents from the beginning of the input, for an input that has no other places to look at."""
    loaded = load_encoding.cache_info().currsize
    try:
        samples: list[tuple[str, Bytes]] = [
            (f"{source.path} around byte {at:,}", _read(source, at)) for source, at in sample_places(sources)
        ]
        check_engine(make_engine(), encoding, samples or [("the first text", data[:_PIECE]) for data in head[:_PLACES]])
    finally:
        if not loaded:
            drop_encodings()  # 30 MiB that nobody needs any more


def _read(source: Source, at: int) -> bytes:
    with ByteReader(replace(source, stop=None), at) as reader:  # a task's sample is of all the file
        return reader.read(_PIECE)
