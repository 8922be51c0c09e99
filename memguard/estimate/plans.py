"""The named plans, each as the steps of its script with the bytes alive at every step. Pure.

N file bytes, n characters, k bytes per character, T tokens, B boxed tokens (those with an int object of their own);
docs/memory-terms.md explains the letters and shows how each figure was measured. A step's `bytes` are all that is
alive at its worst moment, the interpreter's baseline included, so they compare with VmHWM.

    read-all       data = open(f).read(); data[:0.9n], data[0.9n:]; encode each; np.array; tofile    (nanoGPT)
    chunked-list   a chunk of 1,000,000 characters at a time, ids.extend(encode(chunk)); one np.array at the end
    sharded-list   the same, with the list written out every 100,000,000 tokens
    stream         memguard tokenize: blocks in, tokens out, nothing kept
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memguard.estimate.costs import RUST_ID, Costs
from memguard.records.estimate import CorpusStats, Step
from memguard.units import MIB, format_size

__all__ = ["PLANS", "Options", "Plan", "Slice", "Text", "chunked_list", "read_all", "sharded_list", "stream", "text_of"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the plans leave open."""

    chunk_chars: int = 1_000_000
    shard_tokens: int = 100_000_000
    stream_memory: int = 256 * MIB  # memguard tokenize --max-memory


@dataclass(frozen=True, slots=True)
class Slice:
    chars: int
    width: int
    utf8: int  # bytes that tiktoken leaves inside the str: 0 for ASCII
    tokens: int
    boxed: int


@dataclass(frozen=True, slots=True)
class Text:
    """CorpusStats with one figure picked out of each range."""

    bytes: int
    chars: int
    width: int
    widening: int
    has_0x0d: bool
    slices: tuple[Slice, ...]
    file_tokens: int  # of the files' bytes: what memguard tokenize writes
    item: int  # bytes per token in the output

    @property
    def tokens(self) -> int:
        return sum(part.tokens for part in self.slices)

    @property
    def boxed(self) -> int:
        return sum(part.boxed for part in self.slices)

    @property
    def read_chars(self) -> int:
        """Characters once newlines are translated."""
        return sum(part.chars for part in self.slices)


def text_of(stats: CorpusStats, bound: str) -> Text:
    """`bound`: "low", "expected" or "high"."""
    slices = tuple(
        Slice(
            chars=part.chars,
            width=part.char_width,
            utf8=0 if part.ascii else part.utf8,
            tokens=getattr(part.tokens, bound),
            boxed=getattr(part.boxed_tokens, bound),
        )
        for part in stats.slices
    )
    return Text(
        bytes=stats.bytes,
        chars=stats.chars,
        width=stats.char_width,
        widening=stats.widening_bytes,
        has_0x0d=stats.has_0x0d,
        slices=slices,
        file_tokens=getattr(stats.tokens, bound),
        item=4 if stats.vocabulary > 1 << 16 else 2,
    )


# glibc on 64-bit machines: DEFAULT_MMAP_THRESHOLD_MAX.
_MMAP_THRESHOLD_MAX = 32 * MIB

Steps = Callable[[Text, Costs, Options], tuple[Step, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """`slack` is what the allocator may keep or the formula may miss: a share of the peak, and bytes to either side."""

    name: str
    description: str
    steps: Steps
    slack_share: float
    slack_low: int
    slack_high: int


def _step(name: str, *parts: tuple[str, int]) -> Step:
    """A step whose bytes are the sum of what is alive, and whose formula names each part with its size."""
    alive = [(words, size) for words, size in parts if size > 0]
    formula = " + ".join(f"{words} {format_size(size)}" for words, size in alive)
    return Step(name, None, sum(size for _, size in alive), formula)


def _list_bytes(tokens: int, boxed: int, costs: Costs) -> int:
    """A list of token ids: a slot each, and an int object for those that are not cached."""
    return round(costs.list_slot * tokens + costs.boxed_int * boxed)


def _list_words(what: str, tokens: int, size: int) -> str:
    return f"{what} ({size / max(1, tokens):.1f} bytes a token)"


def _kept_by_malloc(text: Text, tokens: int) -> int:
    """Bytes of tiktoken's growing Vec of ids that glibc may keep in its heap once the Vec has outgrown them.

    Blocks larger than the mmap threshold go back to the kernel when freed, smaller ones stay. The threshold rises to
    the largest block freed so far, up to 32 MiB: freeing the file's bytes raises it to N (mallopt(3)). The Vec
    doubles. Measured for texts up to 32 MiB; above, this is 16 MiB too careful.
    """
    size = 4 * RUST_ID
    while 2 * size <= min(text.bytes, RUST_ID * tokens, _MMAP_THRESHOLD_MAX // 2):
        size *= 2
    return size if size <= RUST_ID * tokens else 0


def _python(costs: Costs) -> tuple[str, int]:
    return "Python and its libraries", costs.baseline


def _load(costs: Costs) -> Step:
    return _step("load tiktoken", ("Python, its libraries, the vocabulary while it is read", costs.baseline_peak))


def _array(text: Text, tokens: int) -> tuple[str, int]:
    return f"the uint{8 * text.item} array", text.item * tokens


def read_all(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    del options
    sliced = len(text.slices) > 1
    slices = sum(part.width * part.chars for part in text.slices) if sliced else 0
    held = [_python(costs), (_text_words(text), text.width * text.read_chars)]
    steps = [_load(costs), _read(text, costs)]
    if sliced:
        held.append(("its slices", slices))
        steps.append(_step("slice", *held))
    copies = lists = 0
    names = (" train", " val") if sliced else ("",)
    for name, part in zip(names, text.slices, strict=True):
        copies += part.utf8
        lists += _list_bytes(part.tokens, part.boxed, costs)
        steps.append(
            _step(
                f"encode{name}",
                *held,
                ("tiktoken's UTF-8 copy", copies),
                ("the list of ids", lists),
                ("ids inside tiktoken", RUST_ID * part.tokens + _kept_by_malloc(text, part.tokens)),
            )
        )
    if copies:
        held.append(("tiktoken's UTF-8 copy", copies))
    arrays = 0
    for name, part in zip(names, text.slices, strict=True):
        words = _list_words("the list of ids" if len(names) == 1 else "lists of ids", text.tokens, lists)
        arrays += part.tokens
        steps.append(_step(f"np.array{name}", *held, (words, lists), _array(text, arrays)))
        lists -= _list_bytes(part.tokens, part.boxed, costs)
    steps.append(_step("tofile", *held, _array(text, arrays)))
    return tuple(steps)


def _text_words(text: Text) -> str:
    return f"the text ({text.width} byte{'s' if text.width > 1 else ''} a character)"


def _read(text: Text, costs: Costs) -> Step:
    """N + max(k·n, (k_old + k)·p, 2·k·n where newlines are looked for): the widening is over when those are."""
    decoded = text.width * text.chars
    translating = decoded + text.width * text.read_chars if text.has_0x0d else 0
    parts = [(_text_words(text), decoded)]
    if translating > max(decoded, text.widening):
        parts.append(("its copy with newlines translated", translating - decoded))
    elif text.widening > decoded:
        parts = [("the text, being copied into a wider str", text.widening)]
    return _step("read", _python(costs), ("the file's bytes", text.bytes), *parts)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """One chunk, on average over the text: bytes of its str, tiktoken's copy in it, and its list's slots."""

    tokens: int
    text: int
    copy: int
    slots: int

    @property
    def size(self) -> int:
        return self.text + self.copy + self.slots

    @classmethod
    def of(cls, text: Text, costs: Costs, chars: int) -> _Chunk:
        share = min(1.0, chars / max(1, text.read_chars))
        tokens = round(text.tokens * share)
        return cls(
            tokens=tokens,
            # A chunk is a str of its own, as narrow as its own characters: its slice is nearer to that than the whole.
            text=round(sum(part.width * part.chars for part in text.slices) * share),
            copy=round(sum(part.utf8 for part in text.slices) * share),
            slots=costs.list_slot * tokens,
        )


def chunked_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    chunk = _Chunk.of(text, costs, options.chunk_chars)
    return _listing("one list of all ids", text, text.tokens, text.boxed, chunk, 0, costs)


def sharded_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    chunk = _Chunk.of(text, costs, options.chunk_chars)
    tokens = min(text.tokens, options.shard_tokens + chunk.tokens)
    # The shards of one language may hold more large ids than those of another.
    densest = max(part.boxed / max(1, part.tokens) for part in text.slices)
    boxed = text.boxed if tokens == text.tokens else round(tokens * densest)
    # Chunks and shards come and go: glibc keeps up to twice the largest block it has served from its heap (mallopt(3)).
    kept = 2 * min(_MMAP_THRESHOLD_MAX, max(chunk.text, chunk.slots))
    shard = f"{options.shard_tokens / 1e6:g}M"
    words = f"a list of {shard} ids" if tokens < text.tokens else f"one list of all ids, fewer than {shard}"
    return _listing(words, text, tokens, boxed, chunk, kept, costs)


def _listing(
    words: str, text: Text, tokens: int, boxed: int, chunk: _Chunk, kept: int, costs: Costs
) -> tuple[Step, ...]:
    """Chunks gathered in a list of `tokens` ids, then the array. The last chunk and its slots live on beside both."""
    size = _list_bytes(tokens, boxed, costs)
    ids = _list_words(words, tokens, size), size
    last = "the chunk at hand", chunk.size + kept
    return (
        _load(costs),
        _step("ids.extend", _python(costs), ids, last, ("ids inside tiktoken", RUST_ID * chunk.tokens)),
        _step("np.array", _python(costs), ids, last, _array(text, tokens)),
    )


# Peak resident memory of memguard tokenize with its 256 MiB, measured: 107 MB for 0.1 MB of text, 139–154 for 20 MB,
# 183–194 for 80–100 MB: the words that the engine has seen fill it up until they are dropped.
_STREAM_START = 104 * MIB
_STREAM_PER_BYTE = 1.5
_STREAM_SHARE = 0.7


def stream(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    del costs
    peak = min(_STREAM_START + _STREAM_PER_BYTE * text.bytes, _STREAM_SHARE * options.stream_memory)
    words = f"blocks of text and ids, and known words, within --max-memory {format_size(options.stream_memory)}:"
    return (_step("encode", (words, round(peak))),)


PLANS: tuple[Plan, ...] = (
    Plan("read-all", "read the whole text, encode it, np.array, tofile (nanoGPT)", read_all, 0.015, 6 * MIB, 16 * MIB),
    Plan("chunked-list", "read in chunks, but keep every token in one list", chunked_list, 0.015, 8 * MIB, 24 * MIB),
    Plan("sharded-list", "the same, the list written out every 100M tokens", sharded_list, 0.015, 16 * MIB, 32 * MIB),
    Plan("stream", "memguard tokenize: blocks in, tokens out", stream, 0.0, 24 * MIB, 0),
)
