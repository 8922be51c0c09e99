"""One pass over the text's bytes: what Python's str of it will cost. Bounded memory, close to memory bandwidth.

Counted exactly, over all files as if they were one: characters, the widest one (it alone decides the bytes per
character of the whole str, PEP 393), where the str is widened while it is being decoded, carriage returns, and 0x0D
code units. Malformed UTF-8 is found and remembered (the first place in each file), never raised. Tokens: sample.py.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memguard.tokens.input.split import first_cut

__all__ = ["KIND_LEADS", "TextPart", "TextScan", "code_point_class", "scan_files", "width_of"]

# Fits a core's L2 cache, so that the dozen passes over a block cost little more than the first, and stays below
# glibc's mmap threshold, so that its temporaries do not fault in fresh pages each time (measured: twice as fast as
# 256 KiB).
BLOCK_BYTES = 96 * 1024

# The profile along the text has at most twice this many entries, whatever the size.
PROFILE_ENTRIES = 1 << 16

# CPython decodes into the narrowest of four kinds of str and starts again in a wider one when a character does not
# fit (Objects/unicodeobject.c): the highest code point of each kind, its bytes per character, and from which
# lead byte on kind 1, 2, 3 is needed (U+0080 is C2 80, U+0100 is C4 80, U+10000 is F0 90 80 80).
_KIND_LIMITS = (0x7F, 0xFF, 0xFFFF)
_KIND_WIDTHS = (1, 1, 2, 4)
KIND_LEADS = (0x80, 0xC4, 0xF0)

# Lead bytes whose second byte has a narrower range than 80–BF (Unicode 15, table 3-7), and that range.
_NARROW_SECOND = ((0xE0, 0xA0, 0xBF), (0xED, 0x80, 0x9F), (0xF0, 0x90, 0xBF), (0xF4, 0x80, 0x8F))

Bytes = NDArray[np.uint8]


def code_point_class(code_point: int) -> int:
    """0 ASCII, 1 Latin-1, 2 up to U+FFFF, 3 everything."""
    return sum(code_point > limit for limit in _KIND_LIMITS)


def width_of(code_class: int) -> int:
    """Bytes per character of a str whose widest character is of `code_class`."""
    return _KIND_WIDTHS[code_class]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A run of the text as open(path).read() gives it, newlines translated."""

    chars: int
    utf8: int  # bytes of its UTF-8
    code_class: int
    raw_end: int  # about where it ends in the files, newlines not translated


@dataclass(slots=True)
class TextScan:
    """The running totals. Places are offsets into all files in a row."""

    paths: Sequence[str] = ()
    starts: list[int] = field(default_factory=list)  # where each file begins
    size: int = 0  # bytes
    chars: int = 0  # before newline translation
    max_code_point: int = 0
    widening_bytes: int = 0  # most bytes in the decoder's two buffers while it widens: (k_old + k)·p
    carriage_returns: int = 0
    crlf: int = 0  # each is one character less after newline translation
    has_0x0d: bool = False  # some code unit holds a byte 0x0D: CPython then copies the text to translate newlines
    nul_at: int | None = None
    invalid: dict[str, int | None] = field(default_factory=dict)  # path → its first malformed byte; None: not known
    longest_piece: int = 0  # bytes of the longest run of blocks without a place where the tokenizer's pattern splits
    stride: int = 0  # bytes per entry of the profile, at least
    # The profile, an entry per stretch: its end in bytes, in translated characters, in \r\n pairs; its widest class.
    byte_ends: array[int] = field(default_factory=lambda: array("q"))
    char_ends: array[int] = field(default_factory=lambda: array("q"))
    crlf_ends: array[int] = field(default_factory=lambda: array("q"))
    classes: bytearray = field(default_factory=bytearray)
    _stretch_class: int = 0
    _piece: int = 0

    @property
    def code_class(self) -> int:
        return code_point_class(self.max_code_point)

    @property
    def text_chars(self) -> int:
        """Characters after newline translation: len(open(path).read())."""
        return self.chars - self.crlf

    def add(self, data: bytes, path: str) -> None:
        """Adds a block of whole characters, the next one of `path`."""
        block = np.frombuffer(data, np.uint8)
        highest = int(block.max())
        if highest < 0x80:
            chars, code_class = len(data), 0
            self.max_code_point = max(self.max_code_point, highest)
        else:
            chars, code_class = self._add_wide(block, data, highest, path)
        if b"\r" in data:
            self.has_0x0d = True
            self.carriage_returns += data.count(b"\r")
            self.crlf += data.count(b"\r\n")
        if self.nul_at is None and b"\0" in data:
            self.nul_at = self.size + data.index(b"\0")
        self._piece = 0 if _has_cut(data) else self._piece + len(data)
        self.longest_piece = max(self.longest_piece, self._piece)
        self.size += len(data)
        self.chars += chars
        self._stretch_class = max(self._stretch_class, code_class)
        if self.size - (self.byte_ends[-1] if self.byte_ends else 0) >= self.stride:
            self.end_stretch()

    def end_stretch(self) -> None:
        """Ends the profile's current entry; a stretch never reaches into the next file."""
        self.byte_ends.append(self.size)
        self.char_ends.append(self.text_chars)
        self.crlf_ends.append(self.crlf)
        self.classes.append(self._stretch_class)
        self._stretch_class = 0

    def _add_wide(self, block: Bytes, data: bytes, highest: int, path: str) -> tuple[int, int]:
        """A block with bytes above 7F: its characters and its class."""
        continuation = block.view(np.int8) < -64
        if _malformed(block, data, continuation, highest):
            return self._add_malformed(data, path)
        code_class = sum(highest >= lead for lead in KIND_LEADS)
        if code_class > self.code_class:
            self._add_widenings(block, code_class)
        if highest >= _lead_byte(self.max_code_point):
            self.max_code_point = max(self.max_code_point, _max_code_point(block, data, highest))
        self.has_0x0d = self.has_0x0d or _has_0x0d_unit(block, data)
        return len(data) - int(np.count_nonzero(continuation)), code_class

    def _add_malformed(self, data: bytes, path: str) -> tuple[int, int]:
        """Counts a block as errors="replace" would read it, and remembers the place."""
        if path not in self.invalid:
            try:
                data.decode()
            except UnicodeDecodeError as error:
                self.invalid[path] = self.size - self.starts[-1] + error.start
        text = data.decode("utf-8", "replace")
        highest = ord(max(text))
        self.max_code_point = max(self.max_code_point, highest)
        return len(text), code_point_class(highest)

    def _add_widenings(self, block: Bytes, code_class: int) -> None:
        old = self.code_class
        while old < code_class:
            place = int(np.argmax(block >= KIND_LEADS[old]))
            new = sum(int(block[place]) >= lead for lead in KIND_LEADS)
            before = self.chars + place - int(np.count_nonzero(block[:place].view(np.int8) < -64))
            self.widening_bytes = max(self.widening_bytes, (width_of(old) + width_of(new)) * before)
            old = new

    def split(self, place: int) -> tuple[TextPart, TextPart]:
        """The text before its character `place` and from there on (0 ≤ place ≤ text_chars)."""
        index = min(bisect_right(self.char_ends, place), len(self.char_ends) - 1)
        first_byte, first_char, first_crlf = (
            (ends[index - 1] if index else 0) for ends in (self.byte_ends, self.char_ends, self.crlf_ends)
        )
        text = self._read_text(first_byte, self.byte_ends[index])
        head, tail = text[: place - first_char], text[place - first_char :]
        head_bytes = len(head.encode())
        head_class = max(self.classes[:index], default=0)
        tail_class = max(self.classes[index + 1 :], default=0)
        bytes_before = first_byte - first_crlf + head_bytes
        return (
            TextPart(
                chars=place,
                utf8=bytes_before,
                code_class=max(head_class, _class_of(head)),
                raw_end=min(first_byte + head_bytes, self.byte_ends[index]),
            ),
            TextPart(
                chars=self.text_chars - place,
                utf8=max(0, self.size - self.crlf - bytes_before),
                code_class=max(tail_class, _class_of(tail)),
                raw_end=self.size,
            ),
        )

    def split_roughly(self, share: float, size: int, chars: int) -> tuple[TextPart, TextPart]:
        """Where not all of the text was read, or not from a file: `share` of `chars` characters, by proportion.

        `size` and `chars` are those of the whole text (newlines translated), of which this scan saw a part.
        """
        place = round(share * self.text_chars)
        index = min(bisect_right(self.char_ends, place), len(self.char_ends) - 1)
        first_char, first_byte = (self.char_ends[index - 1], self.byte_ends[index - 1]) if index else (0, 0)
        inside = (place - first_char) / max(1, self.char_ends[index] - first_char)
        seen = (first_byte + inside * (self.byte_ends[index] - first_byte)) / max(1, self.size)
        head, tail = round(share * chars), round(seen * size)
        return (
            TextPart(head, tail, max(self.classes[: index + 1], default=0), tail),
            TextPart(chars - head, size - tail, max(self.classes[index:], default=0), size),
        )

    def stretches(self, size: int) -> tuple[float, float]:
        """Of stretches of at least `size` bytes: bytes per character of their own strs, the share that is not ASCII."""
        total = chars = wide = 0.0
        begin_byte = begin_char = code_class = 0
        for byte_end, char_end, found in zip(self.byte_ends, self.char_ends, self.classes, strict=True):
            code_class = max(code_class, found)
            if byte_end - begin_byte >= size or byte_end == self.byte_ends[-1]:
                chars += char_end - begin_char
                total += width_of(code_class) * (char_end - begin_char)
                wide += (code_class > 0) * (char_end - begin_char)
                begin_byte, begin_char, code_class = byte_end, char_end, 0
        return (total / chars, wide / chars) if chars else (float(width_of(self.code_class)), 1.0)

    def _read_text(self, start: int, end: int) -> str:
        """Reads one block again, as text mode gives it. A file changed since the scan gives what it now holds."""
        index = bisect_right(self.starts, start) - 1
        with Path(self.paths[index]).open("rb") as file:
            file.seek(start - self.starts[index])
            data = file.read(end - start)
        return data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def scan_files(paths: Sequence[str], progress: Callable[[int], None] | None = None) -> TextScan:
    """Reads every file once, in the order given; `progress` is called with the bytes of each block."""
    total = sum(os.path.getsize(path) for path in paths)
    scan = TextScan(paths=tuple(paths), stride=total // PROFILE_ENTRIES)
    for path in paths:
        scan.starts.append(scan.size)
        with Path(path).open("rb", buffering=0) as file:
            rest = b""
            while data := file.read(BLOCK_BYTES):
                block = rest + data if rest else data
                keep = _unfinished(block)
                rest = block[len(block) - keep :] if keep else b""
                if keep < len(block):
                    scan.add(block[: len(block) - keep] if keep else block, path)
                if progress is not None:
                    progress(len(data))
            if rest:
                scan.add(rest, path)
        scan.end_stretch()
    return scan


def _unfinished(block: bytes) -> int:
    """Bytes at the end that belong to what follows: an unfinished character, or a carriage return."""
    if block[-1] == 0x0D:
        return 1
    if block[-1] < 0x80:
        return 0
    for back in range(1, min(4, len(block)) + 1):
        byte = block[-back]
        if byte >= 0xC0:
            return back if back < _sequence_length(byte) else 0
    return 0  # four continuation bytes in a row: malformed, and not to be corrected here


def _has_cut(data: bytes) -> bool:
    """True when GPT-2's pattern, and with it any other, splits somewhere inside."""
    space = data.find(b" ", 1)
    return (space > 0 and 0x21 <= data[space - 1] <= 0x7E) or first_cut(data, "r50k", 1) is not None


def _sequence_length(lead: int) -> int:
    return 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1


def _lead_byte(code_point: int) -> int:
    return chr(code_point).encode("utf-8", "surrogatepass")[0]


def _class_of(text: str) -> int:
    return code_point_class(ord(max(text))) if text else 0


def _malformed(block: Bytes, data: bytes, continuation: NDArray[np.bool_], highest: int) -> bool:
    """True when a block of whole characters is not UTF-8 (Unicode 15, table 3-7)."""
    if highest > 0xF4 or b"\xc0" in data or b"\xc1" in data:
        return True
    expected = np.zeros(len(block) + 3, np.bool_)
    expected[1:-2] = block >= 0xC0
    expected[2:-1] |= block >= 0xE0
    if highest >= 0xF0:
        expected[3:] |= block >= 0xF0
    if expected[len(block) :].any() or not np.array_equal(expected[: len(block)], continuation):
        return True
    for lead, low, high in _NARROW_SECOND:
        if lead in data:
            second = block[1:][block[:-1] == lead]
            if second.size and (int(second.min()) < low or int(second.max()) > high):
                return True
    return False


def _max_code_point(block: Bytes, data: bytes, highest: int) -> int:
    """The highest code point of well-formed UTF-8: its order is the order of the bytes."""
    length = _sequence_length(highest)
    places = np.flatnonzero(block == highest)
    for step in range(1, length):
        following = block[places + step]
        places = places[following == following.max()]
    first = int(places[0])
    return ord(data[first : first + length].decode())


def _has_0x0d_unit(block: Bytes, data: bytes) -> bool:
    """True when the code point of some character has a byte 0x0D, such as U+010D (č), U+200D or U+0D15.

    The low byte is 0D where the last UTF-8 byte is 8D and the byte before it ends in two zero bits. The byte above it
    is 0D in E0 B4–B7 xx (U+0D00–U+0DFF) and in Fx 80/90/A0/B0 B4–B7 xx, and the third in F3 90–9F xx xx (plane 13).
    """
    if b"\x8d" in data:
        last = np.append((block[1:] & 0xC0) != 0x80, True)
        if bool(np.any((block[1:] == 0x8D) & last[1:] & (block[:-1] & 3 == 0))):
            return True
    if b"\xf3" in data and bool(np.any((block[:-1] == 0xF3) & (block[1:] & 0xF0 == 0x90))):
        return True
    if b"\xe0" in data and bool(np.any((block[:-1] == 0xE0) & (block[1:] & 0xFC == 0xB4))):
        return True
    if int(block.max()) >= 0xF0:
        return bool(np.any((block[:-2] >= 0xF0) & (block[1:-1] & 0x0F == 0) & (block[2:] & 0xFC == 0xB4)))
    return False
