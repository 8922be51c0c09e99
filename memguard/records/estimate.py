"""estimate/1: what every prep plan would need for these files on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from memguard.records.limits import Limits

__all__ = [
    "ROW_BATCH",
    "Comparison",
    "CorpusStats",
    "DocumentStats",
    "Estimate",
    "History",
    "PlanEstimate",
    "Probe",
    "ProbePoint",
    "Range",
    "RowBatch",
    "Scheduler",
    "SliceStats",
    "Step",
    "WordStats",
]


@dataclass(frozen=True, slots=True)
class Range:
    low: int
    expected: int
    high: int


@dataclass(frozen=True, slots=True)
class SliceStats:
    """A part of the text (all of it, or data[:0.9n] and data[0.9n:]) as open(path).read() gives it.

    Newlines are translated there, so chars, utf8 and tokens are less than the file's own where it has carriage returns.
    """

    chars: int
    char_width: int  # of this slice's own str: slices are as narrow as their own widest character
    utf8: int  # bytes; tiktoken leaves this copy inside a str that is not ASCII
    ascii: bool
    tokens: Range
    boxed_tokens: Range  # those whose id needs an int object of its own: above CPython's cached small ints


@dataclass(frozen=True, slots=True)
class DocumentStats:
    """The text as a list of Python strs: its lines, or the records of a JSONL or Parquet file."""

    unit: str  # line | record | row
    count: Range
    str_bytes: Range  # all the str objects, each rounded up to the allocator's 16 bytes
    copy_bytes: Range  # the UTF-8 copies that tiktoken leaves in those that are not ASCII


ROW_BATCH = 65_536  # pyarrow's own batch_size


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Of all batches of 65,536 documents the heaviest, as shares of the whole: long rows stand together at times."""

    tokens: float
    boxed_tokens: float
    bytes: float


@dataclass(frozen=True, slots=True)
class WordStats:
    """What differs in the text, each counted once: what the trainer of a tokenizer holds."""

    count: int  # words and signs as GPT-2's pattern cuts them, each with its space
    bytes: int  # of them
    wide_bytes: int  # of those bytes, those of characters beyond ASCII
    chars: int  # of the words between two spaces, each with a mark for its space
    pairs: int  # of characters that stand side by side in a word
    growth: float  # how their number grows with the size of the text: its exponent (Heaps' law)


@dataclass(frozen=True, slots=True)
class CorpusStats:
    """The input as far as its cost in memory goes. N, n, k, T and f are the letters of docs/memory-terms.md."""

    paths: tuple[str, ...]
    bytes: int  # N
    chars: int  # n
    max_code_point: int
    char_width: int  # k: 1, 2 or 4 bytes a character of the whole text as one str (PEP 393)
    tokens: Range  # T
    bytes_per_token: float
    small_id_fraction: float  # f: share of token ids ≤ 256
    documents: int | None
    encoding: str = "gpt2"
    ascii: bool = False
    has_0x0d: bool = False  # a 0x0D code unit makes universal newlines copy the text once more
    tokens_exact: bool = False
    sampled_bytes: int = 0
    widening_bytes: int = 0  # most bytes alive while the decoder widens the str: (k_old + k)·p
    invalid_utf8: int = 0  # files with malformed UTF-8
    slices: tuple[SliceStats, ...] = ()
    vocabulary: int = 0  # token ids of the encoding; 0: not known
    kind: str = "text"  # text | jsonl | csv | parquet: what a script has to read
    compressed: bool = False  # bytes are those of the text, not of the file on the disk
    disk_bytes: int = 0  # of the files on the disk; 0: the same as bytes
    document_stats: DocumentStats | None = None
    densest: float = 1.0  # tokens per byte in the densest stretch of about 1 MB over the average
    densest_by_char: float = 1.0  # the same per character, of about a million: scripts read their chunks by characters
    row_batch: RowBatch | None = None  # None: not known
    chunk_width: float = 0.0  # bytes per character of a stretch of about 1 MB as its own str, on average; 0: not known
    chunk_wide: float = 1.0  # share of such stretches that are not ASCII
    largest_files: tuple[int, ...] = ()  # bytes of text in each of the largest files, largest first
    # Where not every byte was read, a wider character may stand in what was not: 0 where char_width is certain.
    char_width_low: int = 0
    char_width_high: int = 0
    row_group_rows: int = 0  # of the largest row group of a Parquet file; 0: not known
    longest_piece: int = 0  # bytes of the longest stretch that the tokenizer cannot take apart; 0: none that matters
    words: WordStats | None = None  # None: not counted


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    line: int | None  # the script's line, where there is a script
    bytes: int  # alive at this step, the interpreter's baseline included
    formula: str  # in words


@dataclass(frozen=True, slots=True)
class PlanEstimate:
    name: str
    peak: Range  # bytes, the interpreter's baseline included: compare with VmHWM
    peak_step: str
    steps: tuple[Step, ...]
    disk: int
    seconds: float | None
    verdict: str  # fits | tight | killed
    description: str = ""
    output: str = ""  # what it writes: "uint16"
    # What `peak` compares with: VmHWM of the one process, or the anonymous memory of all processes of the tree.
    measure: str = "VmHWM"
    workers: int | None = None  # processes reckoned with, where the plan has a pool
    workers_fit: int | None = None  # the most that fit; 0: not even one
    usual: bool = True  # shown without being asked for: fits the kind of input


@dataclass(frozen=True, slots=True)
class Scheduler:
    """What to ask a scheduler for so that one plan fits: estimate/scheduler.py says how it comes about."""

    plan: str  # a named plan, or the script's path
    peak: int  # bytes that it takes at most: the high end of its band
    memory: int  # bytes to ask for
    slurm: str  # --mem=1152M, of sbatch and srun
    ray: str  # memory=1207959552, of ray.remote and .options
    kubernetes: str  # the container's resources, as YAML on one line


@dataclass(frozen=True, slots=True)
class Estimate:
    SCHEMA = "memguard.estimate/1"

    input: CorpusStats
    limits: Limits
    plans: tuple[PlanEstimate, ...]
    recommended: str
    next_command: str = ""
    notes: tuple[str, ...] = ()
    mapped: int = 0  # of every VmHWM here, what is mapped from the libraries' files: no part of a tree's own memory
    machine: str = ""  # whose memory `limits` is: empty for this machine
    scheduler: Scheduler | None = None  # for the script; without one for the plan of --check, or for streaming


@dataclass(frozen=True, slots=True)
class ProbePoint:
    """One run of the script on a slice of its input."""

    bytes: int  # of the slice
    peak: int  # anonymous + shared memory of the whole tree
    seconds: float
    exit_code: int


@dataclass(frozen=True, slots=True)
class Probe:
    """A script measured on growing slices of its input, and what that says of the whole."""

    SCHEMA = "memguard.estimate-probe/1"

    script: str
    input: str
    size: int  # bytes of the whole input
    points: tuple[ProbePoint, ...]
    fixed: int  # bytes of memory whatever the input's size
    per_byte: float  # bytes of memory per byte of input
    peak: Range  # for the whole input
    linear: bool  # False: memory does not grow in proportion to the input
    verdict: str  # fits | tight | killed
    shape: str = "linear"  # linear | flat | faster | slower


@dataclass(frozen=True, slots=True)
class Comparison:
    """A finished run of a script whose peak had been estimated."""

    run: str
    started: float  # Unix time
    command: str
    plan: str
    predicted: Range
    measured: int
    inside: bool
    finished: bool  # False: the guard or the kernel ended it, so that `measured` is only as far as it got


@dataclass(frozen=True, slots=True)
class History:
    SCHEMA = "memguard.estimate-history/1"

    comparisons: tuple[Comparison, ...]
    runs: int  # guarded runs on record
    notes: tuple[str, ...] = ()
