"""What the plans are made of: the text in figures, the options, and the sizes that several plans share. Pure.

N file bytes, n characters, k bytes per character, T tokens, B heap ints (tokens with an int object of their own), L
documents or lines; docs/memory-terms.md explains the letters and shows how each figure was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memguard.estimate.plans.costs import PIECE_BYTE, RUST_ID, Costs
from memguard.records.estimate import CorpusStats, Range, RowBatch, SliceStats, Step, WordStats
from memguard.units import MIB, format_size

__all__ = [
    "AUTO_WORKERS",
    "MMAP_THRESHOLD_MAX",
    "Chunk",
    "Documents",
    "Options",
    "Plan",
    "Slack",
    "Slice",
    "Steps",
    "Text",
    "array_part",
    "inside_tiktoken",
    "kept_by_malloc",
    "kept_of_shards",
    "list_bytes",
    "list_words",
    "load_step",
    "python_part",
    "step",
    "text_of",
    "text_words",
]


AUTO_WORKERS = 0


@dataclass(frozen=True, slots=True)
class Options:
    """What the plans leave open."""

    chunk_chars: int = 1_000_000
    shard_tokens: int = 100_000_000
    batch_rows: int = 65_536  # pyarrow's own default of iter_batches
    row_group_rows: int = 1_048_576  # pyarrow's own default of write_table
    workers: int = 2  # AUTO_WORKERS: as many as fit
    cores: int = 2  # no plan is given more workers than this when it may choose
    stream_memory: int = 256 * MIB  # memguard tokenize --max-memory


@dataclass(frozen=True, slots=True)
class Slice:
    chars: int
    width: int
    utf8: int  # bytes that tiktoken leaves inside the str: 0 for ASCII
    tokens: int
    heap_ints: int


@dataclass(frozen=True, slots=True)
class Documents:
    """The text as a list of strs: its lines, or the records of a JSONL or Parquet file."""

    count: int
    str_bytes: int  # of all the str objects, rounded up as the allocator does
    copy_bytes: int  # UTF-8 copies that tiktoken leaves in those that are not ASCII


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
    documents: Documents = Documents(0, 0, 0)
    peak_density: float = 1.0  # tokens per byte in the densest stretch of about 1 MB over the average
    peak_char_density: float = 1.0  # the same per character
    largest_files: tuple[int, ...] = ()  # bytes, largest first
    kind: str = "text"  # text | jsonl | csv | parquet: what the script has to read
    chunk_width: float = 0.0  # bytes per character of an average stretch of 1 MB; 0: that of the whole
    chunk_wide: float = 1.0  # share of such stretches that are not ASCII
    row_batch: RowBatch | None = None  # the heaviest of the batches of 65,536 documents
    longest_piece: int = 0  # bytes that the tokenizer cannot take apart
    row_group_rows: int = 0  # of the largest row group; 0: not known, pyarrow's own default is taken
    at_worst: bool = False  # for the high end of the band: what malloc keeps of smaller blocks counts for larger ones
    joined: bool = False  # the file is decompressed on the way: its pieces are joined into one bytes object
    words: WordStats | None = None  # that differ; None: not counted

    @property
    def tokens(self) -> int:
        return sum(part.tokens for part in self.slices)

    @property
    def heap_ints(self) -> int:
        return sum(part.heap_ints for part in self.slices)

    @property
    def read_chars(self) -> int:
        """Characters once newlines are translated."""
        return sum(part.chars for part in self.slices)


def text_of(stats: CorpusStats, bound: str) -> Text:
    """`bound`: "low", "expected" or "high"."""

    def pick(value: Range) -> int:
        figure: int = getattr(value, bound)
        return figure

    widths = {"low": stats.char_width_low, "high": stats.char_width_high}
    width = widths.get(bound) or stats.char_width
    slices = tuple(_slice_of(part, stats, width, bound) for part in stats.slices)
    found = stats.document_stats
    documents = (
        Documents(pick(found.count), pick(found.str_bytes), pick(found.copy_bytes))
        if found is not None
        # Nothing known: one document.
        else Documents(1, width * stats.chars, 0 if stats.ascii else stats.bytes)
    )
    return Text(
        bytes=stats.bytes,
        chars=stats.chars,
        width=width,
        widening=_widening(stats, width),
        has_0x0d=stats.has_0x0d,
        slices=slices,
        file_tokens=pick(stats.tokens),
        item=4 if stats.vocabulary > 1 << 16 else 2,
        documents=documents,
        peak_density=stats.densest,
        peak_char_density=stats.densest_by_char,
        largest_files=stats.largest_files or (stats.bytes,),
        kind=stats.kind,
        chunk_width=0.0 if bound == "high" else stats.chunk_width,
        chunk_wide=1.0 if bound == "high" else stats.chunk_wide,
        row_batch=stats.row_batch,
        longest_piece=stats.longest_piece,
        row_group_rows=stats.row_group_rows,
        joined=stats.compressed,
        words=stats.words,
        at_worst=bound == "high",
    )


def _slice_of(part: SliceStats, stats: CorpusStats, width: int, bound: str) -> Slice:
    """`width` is the text's by `bound`: where it is not the one that was seen, each slice's may differ, too."""
    own, narrow = part.char_width, part.ascii
    if width != stats.char_width:
        own = max(own, width) if bound == "high" else min(own, width)
        narrow = narrow and width == 1
    return Slice(
        chars=part.chars,
        width=own,
        utf8=0 if narrow else part.utf8,
        tokens=getattr(part.tokens, bound),
        heap_ints=getattr(part.boxed_tokens, bound),
    )


def _widening(stats: CorpusStats, width: int) -> int:
    """Where a wider character than any seen is reckoned with, it may stand at the very end: (k_old + k)·n."""
    return (stats.char_width + width) * stats.chars if width > stats.char_width else stats.widening_bytes


# glibc on 64-bit machines: DEFAULT_MMAP_THRESHOLD_MAX.
MMAP_THRESHOLD_MAX = 32 * MIB

Steps = Callable[[Text, Costs, Options], tuple[Step, ...]]


@dataclass(frozen=True, slots=True)
class Slack:
    """What the allocator may keep or the formula may miss: `share` of the peak, and bytes `below` and `above` it."""

    share: float
    below: int
    above: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A named plan: its formula (`steps`), and how wide the band around the peak is (`slack`)."""

    name: str
    description: str
    steps: Steps
    slack: Slack
    library: str = ""  # beside numpy and tiktoken: pyarrow, pandas, datasets, torch
    pool: bool = False  # several processes: the peak is the anonymous memory of the whole tree
    inputs: tuple[str, ...] = ("text",)  # the kinds of input that it is shown for
    timed: bool = True  # its time is tiktoken's, and beside that:
    start: float = 0.0  # seconds, of a library's import and a pool's processes
    each: float = 0.0  # seconds, of every document
    trains: bool = False  # a tokenizer: what counts is how many words of the text differ
    disk: Callable[[Text], int] | None = None  # bytes that it writes; None: every token in the output's dtype
    output: str = ""  # what that is, where it is not such tokens


def step(name: str, *parts: tuple[str, int]) -> Step:
    """A step whose bytes are the sum of what is alive, and whose formula names each part with its size."""
    alive = [(words, size) for words, size in parts if size > 0]
    formula = " + ".join(f"{words} {format_size(size)}" for words, size in alive)
    return Step(name, None, sum(size for _, size in alive), formula)


def list_bytes(tokens: int, heap_ints: int, costs: Costs) -> int:
    """A list of token ids: a slot each, and an int object for those that are not cached."""
    return round(costs.list_slot * tokens + costs.heap_int * heap_ints)


def list_words(what: str, tokens: int, size: int) -> str:
    return f"{what} ({size / max(1, tokens):.1f} bytes a token)"


def kept_by_malloc(text: Text, size: int) -> int:
    """Bytes that glibc may keep of a buffer that doubles up to `size` bytes, once it has outgrown the heap.

    Blocks larger than the mmap threshold go back to the kernel when freed, smaller ones stay. The threshold rises to
    the largest block freed so far, but never to one beyond 32 MiB (mallopt(3)): freeing the file's bytes raises it to
    N where N is at most that, and leaves it small where N is larger. For the high end it is kept all the same.
    """
    if text.bytes > MMAP_THRESHOLD_MAX and not text.at_worst:
        return 0
    kept = 4 * RUST_ID
    while 2 * kept <= min(text.bytes, size, MMAP_THRESHOLD_MAX // 2):
        kept *= 2
    return kept if kept <= size else 0


def inside_tiktoken(text: Text, tokens: int, ids: int, most: int) -> tuple[str, int]:
    """What encoding `most` bytes of UTF-8 takes inside: the ids, beside the list of `ids` bytes that is made of them;
    or, before there is a list, the merging of a piece that cannot be taken apart."""
    merging = max(0, PIECE_BYTE * min(text.longest_piece, most) - ids)
    words = "ids inside tiktoken" + (", and merging a long piece there" if merging else "")
    return words, RUST_ID * tokens + merging


def kept_of_shards(slots: int) -> int:
    """Bytes that glibc's heap keeps of a list with `slots` bytes of them that is filled and dropped again and again.

    Freeing the first one raises the mmap threshold to its size (mallopt(3)): the later ones grow in the heap, where
    they are moved, and some of the places that they leave stay: measured, from nothing to 1.4 times the slots, in the
    same script with other file names too. Beyond 32 MiB they are mapped, and nothing stays.
    """
    return slots // 2 if slots <= MMAP_THRESHOLD_MAX else 0


def python_part(costs: Costs, library: str = "") -> tuple[str, int]:
    words = "Python and its libraries"
    return (f"{words}, {library}" if library else words), costs.rss(library)


def load_step(costs: Costs, library: str = "") -> Step:
    words = "Python, its libraries, the vocabulary while it is read"
    return step("load tiktoken", (words, max(costs.baseline_peak, costs.rss(library))))


def array_part(text: Text, tokens: int) -> tuple[str, int]:
    return f"the uint{8 * text.item} array", text.item * tokens


def text_words(text: Text) -> str:
    return f"the text ({text.width} byte{'s' if text.width > 1 else ''} a character)"


@dataclass(frozen=True, slots=True)
class Chunk:
    """The densest chunk of the text: bytes of its str, tiktoken's copy in it, and its list."""

    tokens: int
    bytes: int
    text: int
    copy: int
    slots: int
    ints: int

    @property
    def ids(self) -> int:
        """The whole list: slots and int objects."""
        return self.slots + self.ints

    @property
    def heap(self) -> int:
        """What malloc's heap has grown to once such a chunk has passed: its str, twice while the reader joins it,
        tiktoken's copy and the list's slots. Blocks of this size come back for every chunk, so it stays."""
        return 2 * self.text + self.copy + self.slots

    @classmethod
    def of(cls, text: Text, costs: Costs, chars: int, *, last: bool = False) -> Chunk:
        """`last`: what the chunk at the end of the text may be, where all lists are full; not so extreme."""
        share = min(1.0, chars / max(1, text.read_chars))
        densest = text.peak_density if last else text.peak_char_density
        dense = min(1.0, share * densest)
        tokens = round(text.tokens * dense)
        # Where characters have more tokens than bytes have, they are those with more bytes: half English, half Chinese.
        wider = max(1.0, densest / text.peak_density)
        whole = min(1.0, share * wider)
        return cls(
            tokens=tokens,
            bytes=round(text.bytes * whole),
            # A chunk is a str of its own, as narrow as its own characters.
            text=round(min(text.width, max(wider, text.chunk_width or text.width)) * text.read_chars * share),
            copy=round(min(1.0, text.chunk_wide * wider) * sum(part.utf8 for part in text.slices) * whole),
            slots=costs.list_slot * tokens,
            ints=round(costs.heap_int * text.heap_ints * dense),
        )
