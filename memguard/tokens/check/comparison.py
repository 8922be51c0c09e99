"""A text and the ids that are said to stand for it, compared byte by byte as both come in. Pure but for its inputs.

The text comes in parts of any size, with the ends of documents marked; the ids are drawn from a stream as far as the
text reaches. What is kept is the part of the text that no id has been found for yet.

Where the end-of-text token separates documents, its places must be exactly the ends (or the beginnings) of documents;
where nothing separates them, no token may reach over an end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memguard.tokens.check.decode import Decoder
from memguard.tokens.input.utf8 import Bytes
from memguard.tokens.tuning import TUNING

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = npt.NDArray[np.unsignedinteger]

__all__ = ["Chunk", "Comparison", "Difference"]

_SHOWN = 24  # bytes around a difference


@dataclass(frozen=True, slots=True)
class Chunk:
    """At most STEP ids of one shard, the first of which is number `index` there."""

    shard: str
    index: int
    ids: Ids


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where the ids do not say what the text says."""

    kind: str  # ids | text | eot
    what: str
    shard: str | None  # None: the ids had come to their end
    token: int | None
    source: str
    offset: int  # byte in the source
    expected: bytes | None = None
    found: bytes | None = None


@dataclass(slots=True)
class _Part:
    """Where a stretch of the text comes from."""

    start: int  # in the whole text
    source: str
    offset: int  # in the source


class Comparison:
    """`add` text, mark each `end_document`, `close`. Every call returns the first difference as soon as it is known;
    nothing may be added after one. `eot` says where the decoder's silent token must stand: append, prepend or none."""

    def __init__(
        self, chunks: Iterator[Chunk], decoder: Decoder, eot: str = "none", *, step: int = TUNING.compare_step
    ) -> None:
        """`step`: bytes of text to wait for, so that the ids are looked at in large steps."""
        self.tokens = self.eot_tokens = self.text_bytes = 0
        self._chunks, self._decoder, self._eot, self._step = chunks, decoder, eot, step
        self._pending: Chunk | None = None
        self._text = bytearray()  # from byte self._start of the text on
        self._start = 0  # = bytes compared
        self._ends: deque[int] = deque()  # where an end-of-text token is due, or where no token may reach over
        self._parts: deque[_Part] = deque()
        self._in_document = False

    def add(self, data: Bytes | memoryview, source: str, offset: int) -> Difference | None:
        position = self._start + len(self._text)
        last = self._parts[-1] if self._parts else None
        if last is None or last.source != source or offset - last.offset != position - last.start:
            self._parts.append(_Part(position, source, offset))
        self._begin_document(position)
        self._text += data
        return self._advance() if len(self._text) >= self._step else None

    def end_document(self) -> Difference | None:
        position = self._start + len(self._text)
        self._begin_document(position)
        self._in_document = False
        if self._eot != "prepend":
            self._ends.append(position)
        return self._advance() if len(self._ends) >= self._step else None

    def close(self) -> Difference | None:
        return self._advance(final=True)

    def _begin_document(self, position: int) -> None:
        if not self._in_document and self._eot == "prepend":
            self._ends.append(position)
        self._in_document = True

    def _advance(self, *, final: bool = False) -> Difference | None:
        """Compares as many ids as the text reaches for. An id that ends where the text ends so far is left for the
        next time: what comes after it (an end-of-text token?) is not known yet."""
        used = 0
        difference = None
        while difference is None:
            chunk = self._pending or next(self._chunks, None)
            self._pending = None
            if chunk is None:
                difference = self._ids_ended(used) if final else None
                break
            unknown = self._decoder.first_unknown(chunk.ids)
            known = chunk.ids[:unknown]
            lengths = self._decoder.lengths(known)
            ends = np.cumsum(lengths)
            count = int(np.searchsorted(ends, len(self._text) - used, side="right" if final else "left"))
            if count:
                difference = self._compare(chunk, known[:count], lengths[:count], ends[:count], used)
                used += int(ends[count - 1])
            if difference is None and count < chunk.ids.size:
                rest = Chunk(chunk.shard, chunk.index + count, chunk.ids[count:])
                self._pending = rest
                if count == known.size and unknown is not None:
                    difference = self._unknown_id(rest, used)
                elif final:
                    difference = self._text_ended(rest, used)
                if difference is None:
                    break
        self._forget(used)
        return difference

    def _compare(
        self,
        chunk: Chunk,
        ids: Ids,
        lengths: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        used: int,
    ) -> Difference | None:
        size = int(ends[-1])
        found = self._decoder.decode(ids, lengths)
        expected = np.frombuffer(self._text, dtype=np.uint8, count=size, offset=used)
        wrong = None
        if not np.array_equal(found, expected):
            byte = int(np.flatnonzero(found != expected)[0])
            wrong = int(np.searchsorted(ends, byte, side="right"))
        del expected  # a bytearray cannot shrink while an array looks at it
        misplaced = self._check_ends(ids, ends, used, limit=ids.size if wrong is None else wrong)
        if misplaced is not None:
            token, what = misplaced
            place = used + int(ends[token] - lengths[token])
            self.text_bytes += place - used
            return self._difference("eot", what, chunk, token, place)
        if wrong is not None:
            token, start = wrong, int(ends[wrong] - lengths[wrong])
            self.text_bytes += start
            shown = found[start : start + _SHOWN].tobytes()
            return self._difference("text", "another text", chunk, token, used + start, shown)
        self.tokens += ids.size
        self.text_bytes += size
        return None

    def _check_ends(self, ids: Ids, ends: npt.NDArray[np.int64], used: int, *, limit: int) -> tuple[int, str] | None:
        """The first of ids[:limit] that is an end-of-text token in a wrong place, stands where one is missing, or
        reaches over the end of a document."""
        base = self._start + used
        reached = base + int(ends[limit - 1]) if limit else base
        if self._eot == "none":
            while self._ends and self._ends[0] <= reached:
                end = self._ends.popleft() - base
                token = int(np.searchsorted(ends, end, side="left"))
                if end > 0 and token < limit and ends[token] != end:
                    return token, "a token that reaches over the end of the document"
            return None
        places = np.flatnonzero(ids[:limit] == self._decoder.silent)
        self.eot_tokens += places.size
        positions = base + ends[places]
        due = np.array([self._ends.popleft() for _ in range(min(places.size, len(self._ends)))], dtype=np.int64)
        same = positions[: due.size] == due
        first = due.size if same.all() else int(np.argmin(same))
        if first < places.size and (first == due.size or positions[first] < due[first]):
            return int(places[first]), "an end-of-text token inside a document"
        missing = int(due[first]) if first < due.size else self._ends[0] if self._ends else reached
        if missing < reached:
            token = int(np.searchsorted(base + ends, missing, side="right"))
            return token, f"no end-of-text token where a document {'ends' if self._eot == 'append' else 'begins'}"
        return None

    def _unknown_id(self, chunk: Chunk, used: int) -> Difference:
        return self._difference("ids", f"the id {int(chunk.ids[0])}, which is no token of the encoding", chunk, 0, used)

    def _text_ended(self, chunk: Chunk, used: int) -> Difference:
        """Ids are left that the rest of the text is too short for."""
        found = self._decoder.decode(chunk.ids[:_SHOWN])[:_SHOWN].tobytes()
        return self._difference("text", "more text than the source holds", chunk, 0, used, found)

    def _ids_ended(self, used: int) -> Difference | None:
        position = self._start + used
        if used < len(self._text):
            return self._difference("text", "the end of the tokens", None, 0, used)
        if self._eot != "none" and self._ends:
            return self._difference("eot", "the end of the tokens, without an end-of-text token", None, 0, position)
        return None

    def _difference(
        self, kind: str, what: str, chunk: Chunk | None, token: int, place: int, found: bytes | None = None
    ) -> Difference:
        """`place`: where the token's text begins, in self._text."""
        source, offset = self._source(self._start + place)
        end = next(
            (part.start for part in self._parts if part.source != source and part.start > self._start + place), None
        )
        shown = _SHOWN if end is None else min(_SHOWN, end - self._start - place)
        expected = bytes(self._text[place : place + shown])
        index = None if chunk is None else chunk.index + token
        shard = None if chunk is None else chunk.shard
        return Difference(kind, what, shard, index, source, offset, expected, found)

    def _source(self, position: int) -> tuple[str, int]:
        part = next((part for part in reversed(self._parts) if part.start <= position), _Part(0, "", 0))
        return part.source, part.offset + position - part.start

    def _forget(self, used: int) -> None:
        del self._text[:used]
        self._start += used
        while len(self._parts) > 1 and self._parts[1].start <= self._start:
            self._parts.popleft()
