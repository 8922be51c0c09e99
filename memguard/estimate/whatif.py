"""An estimate without the file: a size and a likeness, or a public corpus by its name. Pure.

What a likeness says of a byte of text was measured on texts of that kind, and the doubt about it is in the ranges; a
FILE of the real text (`--like FILE`) is always better. Only GPT-2's tokens have such figures: another encoding needs
`--like FILE`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from memguard.errors import ConfigError
from memguard.estimate.plans.words import PAIRS_GROWTH
from memguard.records.estimate import CorpusStats, DocumentStats, Range, SliceStats, WordStats
from memguard.records.limits import Constraint, Limits

__all__ = ["LIKENESSES", "PUBLIC_CORPORA", "PublicCorpus", "another_machine", "like", "public_corpus", "scaled"]


@dataclass(frozen=True, slots=True)
class Likeness:
    """One byte of such a text. `error` is the relative doubt about its tokens, to either side."""

    bytes_per_token: float  # GPT-2's
    small_ids: float  # share of token ids up to 256
    chars_per_byte: float
    char_width: int
    document_bytes: int
    copied: float  # share of the bytes that stand in documents which are not ASCII
    error: float


# english: web pages and books. Tokens per byte between OpenWebText's (4.40, below) and FineWeb-Edu's (4.65, below), 4.3
# was measured on plain prose; its share of small ids is the prose's. Documents as FineWeb-Edu's.
# multilingual: measured on 79 MB in 20 languages. code: measured on 147 MB of Python, C headers and JavaScript.
LIKENESSES = {
    "english": Likeness(4.5, 0.135, 0.994, 4, 4780, 0.6, 0.06),
    "multilingual": Likeness(2.04, 0.463, 0.735, 4, 4000, 0.95, 0.15),
    "code": Likeness(2.21, 0.505, 0.996, 4, 6000, 0.25, 0.20),
}
# Children's stories: short words, so less bytes a token than other English. A guess with a wide band.
_STORIES = Likeness(4.1, 0.15, 0.998, 4, 900, 0.3, 0.10)


@dataclass(frozen=True, slots=True)
class PublicCorpus:
    """Figures as published; `bytes` is the text itself in UTF-8. `tokens` None: from the likeness."""

    title: str
    bytes: int
    tokens: int | None
    documents: int
    like: str
    kind: str  # the format it is published in
    exact: bool  # False: the bytes are worked out, not published
    sources: str


# FineWeb-Edu's text size is not published. A uniform sample of it has 552,296,826 bytes in 115,482 documents, 4,782
# each; 10BT has 9,672,101 documents and 9,953,989,101 tokens with one end-of-text token each: 1,028 tokens, 4.65 bytes
# a token.
_EDU = (
    "huggingface.co/datasets/HuggingFaceFW/fineweb-edu; tokens: karpathy/build-nanogpt#25 (99 shards of 100M and"
    " 53,989,101); bytes a document: huggingface.co/datasets/codelion/fineweb-edu-100M"
)
PUBLIC_CORPORA = {
    "fineweb-edu-10BT": PublicCorpus(
        "FineWeb-Edu sample-10BT", 46_250_000_000, 9_944_317_000, 9_672_101, "english", "parquet", False, _EDU
    ),
    "fineweb-edu-100BT": PublicCorpus(
        "FineWeb-Edu sample-100BT", 462_500_000_000, 99_443_000_000, 96_721_010, "english", "parquet", False, _EDU
    ),
    "openwebtext": PublicCorpus(
        "OpenWebText",
        39_769_491_688,
        9_032_003_326,
        8_013_769,
        "english",
        "parquet",
        True,
        "bytes, documents: huggingface.co/datasets/Skylion007/openwebtext (dataset_infos.json);"
        " tokens: karpathy/nanoGPT data/openwebtext/readme.md (9,035,582,198 + 4,434,897, one end-of-text token a"
        " document)",
    ),
    "tinystories": PublicCorpus(
        "TinyStories",
        1_911_420_483,
        None,
        2_119_719,
        "stories",
        "parquet",
        True,
        "huggingface.co/datasets/roneneldan/TinyStories, train (bytes and rows as its dataset_info counts them); tokens"
        " are not published: 4.1 bytes each, give or take a tenth",
    ),
}


def like(name: str, size: int, *, encoding: str = "gpt2", val_fraction: float = 0.1) -> CorpusStats:
    """`size` bytes of a text that is `english`, `multilingual` or `code`."""
    return _stats(f"{name} text", size, LIKENESSES[name], None, encoding, val_fraction)


def public_corpus(name: str, *, encoding: str = "gpt2", val_fraction: float = 0.1) -> CorpusStats:
    corpus = PUBLIC_CORPORA[name]
    likeness = _STORIES if corpus.like == "stories" else LIKENESSES[corpus.like]
    if corpus.tokens is not None:
        likeness = replace(
            likeness,
            bytes_per_token=corpus.bytes / corpus.tokens,
            document_bytes=corpus.bytes // corpus.documents,
            error=0.01 if corpus.exact else 0.03,
        )
    stats = _stats(corpus.title, corpus.bytes, likeness, corpus.documents, encoding, val_fraction)
    return replace(stats, kind=corpus.kind, documents=corpus.documents)


def _stats(
    title: str, size: int, likeness: Likeness, documents: int | None, encoding: str, val_fraction: float
) -> CorpusStats:
    if encoding not in ("gpt2", "r50k_base"):
        raise ConfigError(
            f"no figures for {encoding} without a file", f"--like FILE, a part of the text, with --encoding {encoding}"
        )

    def tokens(value: float) -> Range:
        return _around(value / likeness.bytes_per_token, likeness.error)

    def heap_ints(value: float) -> Range:
        return _around(value / likeness.bytes_per_token * (1 - likeness.small_ids), 1.5 * likeness.error)

    slices = tuple(
        SliceStats(
            chars=round(share * size * likeness.chars_per_byte),
            char_width=likeness.char_width,
            utf8=round(share * size),
            ascii=False,
            tokens=tokens(share * size),
            boxed_tokens=heap_ints(share * size),
        )
        for share in ((1 - val_fraction, val_fraction) if val_fraction else (1.0,))
    )
    count = documents or max(1, size // likeness.document_bytes)
    strs = size * likeness.chars_per_byte * (1 - likeness.copied + 2 * likeness.copied) + 70 * count
    return CorpusStats(
        paths=(title,),
        bytes=size,
        chars=round(size * likeness.chars_per_byte),
        max_code_point=0x1F600,
        char_width=likeness.char_width,
        tokens=tokens(size),
        bytes_per_token=likeness.bytes_per_token,
        small_id_fraction=likeness.small_ids,
        documents=None,
        encoding=encoding,
        sampled_bytes=0,
        widening_bytes=0,
        slices=slices,
        vocabulary=50257,
        document_stats=DocumentStats(
            "record", _around(count, 0.0), _around(strs, 0.15), _around(size * likeness.copied, 0.3)
        ),
        densest=1.3,
        largest_files=(size,),
    )


def _around(value: float, error: float) -> Range:
    return Range(round(value * (1 - error)), round(value), round(value * (1 + error)))


def scaled(stats: CorpusStats, size: int) -> CorpusStats:
    """The text of `stats` as if it had `size` bytes: `--size 45GB --like FILE`."""
    factor = size / max(1, stats.bytes)
    # A part of a text says less of the rest than a sample drawn from all of it: the head's doubt, however it was read.
    doubt = 0.0 if factor <= 1 else 0.05

    def whole(value: int) -> int:
        return round(value * factor)

    def ranged(value: Range) -> Range:
        low, high = round(value.low * factor * (1 - doubt)), round(value.high * factor * (1 + doubt))
        return Range(low, whole(value.expected), high)

    found = stats.document_stats
    return replace(
        stats,
        bytes=size,
        chars=whole(stats.chars),
        tokens=ranged(stats.tokens),
        tokens_exact=False,
        documents=None if stats.documents is None else whole(stats.documents),
        widening_bytes=whole(stats.widening_bytes),
        slices=tuple(
            replace(
                part,
                chars=whole(part.chars),
                utf8=whole(part.utf8),
                tokens=ranged(part.tokens),
                boxed_tokens=ranged(part.boxed_tokens),
            )
            for part in stats.slices
        ),
        disk_bytes=0,
        document_stats=None
        if found is None
        else replace(
            found,
            count=ranged(found.count),
            str_bytes=ranged(found.str_bytes),
            copy_bytes=ranged(found.copy_bytes),
        ),
        row_batch=stats.row_batch if factor == 1 else None,
        words=None if stats.words is None else _more_words(stats.words, factor),
        largest_files=tuple(whole(value) for value in stats.largest_files),
        char_width_high=4 if not stats.ascii and stats.char_width < 4 and factor > 1 else stats.char_width_high,
    )


def _more_words(words: WordStats, factor: float) -> WordStats:
    """Of a text `factor` times as long. Pairs of characters are new more rarely than words."""
    more = factor**words.growth
    return replace(
        words,
        count=round(words.count * more),
        bytes=round(words.bytes * more),
        wide_bytes=round(words.wide_bytes * more),
        chars=round(words.chars * more),
        pairs=round(words.pairs * factor**PAIRS_GROWTH),
    )


def another_machine(total: int, *, limit: int | None, reserve: int) -> Limits:
    """The limits of a machine with `total` bytes of memory and nothing else running, but `reserve` left to itself."""
    constraints = [Constraint("--ram", "--ram", total, 0, reserve, False)]
    if limit is not None:
        constraints.append(Constraint("--limit", "--limit", limit, 0, 0, False))
    binding = min(constraints, key=lambda constraint: constraint.headroom)
    return Limits(max(0, binding.headroom), binding.name, total, total, None, tuple(constraints))
