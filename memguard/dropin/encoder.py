"""Texts → token ids, many short ones in one call, long ones block by block, with a word cache that keeps to a budget.

The ids are tiktoken's: tokens/engine takes gigatoken where its ids are known to be the same, and the first text of each
encoding is checked against tiktoken here too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from memguard import pressure
from memguard.dropin.packed import lock
from memguard.errors import InputError
from memguard.tokens import budget as budgets
from memguard.tokens.engine.encode import Engine, drop_encodings, load_encoding, load_vocabulary, make_engine
from memguard.tokens.engine.engine_check import check_engine
from memguard.tokens.headroom import read_headroom
from memguard.tokens.input.split import last_cut
from memguard.tokens.memory import anonymous_memory, trim_heap
from memguard.units import KIB

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.integer[Any]]

__all__ = ["Encoder", "encoder_of", "utf8_of"]

_LOOK = 256 * KIB  # bytes of text between two looks at the memory
_SAMPLE = 8 * KIB  # bytes of the first text that tiktoken encodes too


class Encoder:
    """Of one encoding, for all threads of this process, one at a time."""

    def __init__(self, name: str) -> None:
        """Raises ConfigError for an unknown encoding, InputError where its files cannot be had."""
        self.vocabulary = load_vocabulary(name)
        self.n_vocab = self.vocabulary.n_vocab
        self._engine: Engine | None = None
        self._block = 0  # bytes of a long text that are encoded together
        self._cache = 0  # bytes that the word cache may take
        self._looked = self._since = 0  # bytes of text since the last look, and since the cache is new
        self._base = 0  # anonymous memory when the cache was new
        self._buffer: pressure.Buffer | None = None

    @property
    def fast(self) -> bool:
        """Whether an engine is at work here that is not tiktoken itself."""
        return self._ready(b"").name != "tiktoken"

    def short(self, text: str) -> list[int]:
        """The ids of one short text."""
        data = utf8_of(text)
        with lock:
            ids: list[int] = self._ready(data).encode(data).tolist()
            self._looked += len(data)
            if self._looked >= _LOOK:
                self._watch(0)
        return ids

    def arrays(self, entries: list[str | int]) -> Iterator[Ids]:
        """Texts, each by itself, and ints from 0 to n_vocab in between, as they are: all in one array."""
        import numpy as np

        texts, between, counts = _sorted_out(entries)
        if not texts:
            yield np.array(between, np.int64)
            return
        documents = _utf8_of_all(texts)
        with lock:
            size = sum(map(len, documents))
            engine = self._ready(documents[0])
            found = engine.encode(documents[0]) if len(documents) == 1 else engine.encode_documents(documents)
            ids = _filled(found, self.n_vocab, between, counts)
            del found
            self._watch(size)
        yield ids

    def stream(self, pieces: Iterable[bytes], *, last: bool = True) -> Iterator[Ids]:
        """One text that comes in pieces of whole characters, of any size. Where no cut is safe it is encoded whole."""
        family, rest, searched = self.vocabulary.family, b"", 1
        for piece in pieces:
            if not self._block:
                self._ready(piece)
            rest = rest + piece if rest else piece
            while len(rest) >= self._block and family is not None:
                cut = last_cut(rest[: self._block], family, low=searched) if searched < self._block else None
                if cut is None and len(rest) > self._block:
                    cut = last_cut(rest, family, low=max(searched, self._block))
                if cut is None:
                    searched = max(1, len(rest) - 8)
                    break
                yield self._encode(rest[:cut])
                rest, searched = rest[cut:], 1
        if rest:
            yield self._encode(rest)

    def _encode(self, data: bytes) -> Ids:
        with lock:
            ids: Ids = self._ready(data).encode(data)
            self._watch(len(data))
            return ids

    def _ready(self, first: bytes | bytearray) -> Engine:
        """`first`: a text that is about to be encoded."""
        if self._engine is None:
            with lock:
                self._engine = self._checked(make_engine(self.vocabulary.name, documents=True), first)
                self._size_up(self._engine)
        return self._engine

    def _checked(self, engine: Engine, first: bytes | bytearray) -> Engine:
        if engine.name == "tiktoken":
            return engine
        sample = first[:_SAMPLE].decode("utf-8", "ignore") + "It's 2024, isn't it?\r\n\n\tNaïve déjà-vu — 你好 123456!"
        loaded = load_encoding.cache_info().currsize
        try:
            check_engine(engine, self.vocabulary.name, [("the first text", sample.encode())])
        except InputError:  # another version of it, say
            return make_engine(self.vocabulary.name, "tiktoken")
        if not loaded:
            drop_encodings()  # 30 MiB that nobody may need any more
            trim_heap()
        return engine

    def _size_up(self, engine: Engine) -> None:
        room = read_headroom()
        limit = budgets.DEFAULT_MEMORY if room is None else min(budgets.DEFAULT_MEMORY, room)
        budget = budgets.divide(max(limit, budgets.least_memory(engine.name)), 1, 1, engine.name)
        self._block, self._cache = budget.block, max(budgets.CACHE_FLOOR, budget.cache)
        self._base = anonymous_memory() or 0
        self._buffer = pressure.Buffer("memguard.get_encoding")

    def _watch(self, size: int) -> None:
        """What the process has grown by since the cache is new counts as the cache's, if it can be: then it goes, for
        some 50 ms. Where that was somebody else's memory, that happens once for each such growth."""
        self._looked += size
        if self._looked < _LOOK:
            return
        self._since, self._looked = self._since + self._looked, 0
        if self._buffer is not None and self._buffer.asked():
            self._buffer.answer(self._give_back)
        elif self._since * budgets.CACHE_PER_BYTE >= self._cache and self._grown() >= self._cache:
            trim_heap()
            if self._grown() >= self._cache:
                self._forget()

    def _grown(self) -> int:
        return (anonymous_memory() or 0) - self._base

    def _give_back(self) -> None:
        self._cache = budgets.lowered_limit(self._cache, max(0, self._grown()), budgets.CACHE_FLOOR)
        self._forget()

    def _forget(self) -> None:
        if self._engine is not None:
            self._engine.forget()
        trim_heap()
        self._since, self._base = 0, anonymous_memory() or 0


@functools.lru_cache(maxsize=4)
def encoder_of(name: str) -> Encoder:
    """The one of this process."""
    return Encoder(name)


def utf8_of(text: str) -> bytes:
    """As tiktoken reads a str: surrogates in pairs are characters, single ones U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _utf8_of_all(texts: list[str]) -> list[bytes | bytearray]:
    try:
        return list(map(str.encode, texts))
    except UnicodeEncodeError:
        return list(map(utf8_of, texts))


def _sorted_out(entries: list[str | int]) -> tuple[list[str], list[int], list[int]]:
    """The texts, the ints, and how many of these stand before each text and behind the last one."""
    kinds = list(map(type, entries))
    pairs, odd = divmod(len(entries), 2)
    if not odd and kinds == [str, int] * pairs:  # an end-of-text token behind each
        return entries[::2], entries[1::2], [0] + [1] * pairs  # type: ignore[return-value]
    texts: list[str] = []
    between: list[int] = []
    counts = [0]
    for entry in entries:
        if isinstance(entry, str):
            texts.append(entry)
            counts.append(0)
        else:
            between.append(entry)
            counts[-1] += 1
    return texts, between, counts


def _filled(ids: Ids, separator: int, between: list[int], counts: list[int]) -> Ids:
    """`ids` of texts, with `separator` between one and the next → the ids and what stands between the texts: the first
    counts[0] of `between`, the first text's ids, the next counts[1], and so on."""
    import numpy as np

    inner = counts[1:-1]
    if not between:
        return ids[ids != separator] if inner else ids
    head, tail = counts[0], len(between) - counts[-1]
    if inner and min(inner) == 1 == max(inner):  # an end-of-text token behind each
        filled = ids if ids.flags.writeable else ids.copy()
    elif inner:
        repeats = np.ones(len(ids), np.intp)
        repeats[ids == separator] = inner
        filled = np.repeat(ids, repeats)
    else:
        filled = ids
    if tail > head:
        filled[filled == separator] = between[head:tail]
    if head or tail < len(between):
        ends = (np.array(part, np.uint32) for part in (between[:head], between[tail:]))
        filled = np.concatenate([next(ends), filled, next(ends)])
    return filled
