"""How many tokens a script's own tokenizer makes of the text, where its tokenizer.json is here.

The text was counted with tiktoken's encoding. Both vocabularies are run over blocks spread over the files, and the
count goes by their ratio. A byte-level BPE of the library `tokenizers` has the same merges as tiktoken would have with
those ids for ranks (merges are numbered in the order in which they are learned). What is of another kind, or not here,
stays at tiktoken's count, with a wider band.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from memguard.records.estimate import CorpusStats, Range, SliceStats
from memguard.tokens.engine.encode import load_encoding
from memguard.units import MIB

if TYPE_CHECKING:
    import tiktoken

__all__ = ["OwnTokens", "read_own_tokens", "with_own_tokens"]

_LARGEST_FILE = 64 * MIB
_BLOCKS, _BLOCK_BYTES = 32, 32 * 1024

# Other vocabularies make as few as this of the tokens that GPT-2's makes (cl100k_base, o200k_base on code and on other
# scripts than Latin), or as many (8,000 entries on a text that they were not made for).
_FEWEST, _MOST = 0.6, 1.25

# Whose tokenizers have GPT-2's vocabulary.
_GPT2 = re.compile(r"(^|/)(distil|dialo)?gpt-?2|(^|/)(distil)?roberta-(base|large)$|/gpt-neo-|/opt-\d", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OwnTokens:
    """Ratios to the counted encoding's figures. `known`: both were counted, or are the same vocabulary."""

    name: str
    entries: int = 0  # of the vocabulary; 0: not known
    tokens: float = 1.0
    boxed: float = 1.0  # tokens with an int object of their own
    known: bool = False


def read_own_tokens(name: str, script: str, files: Sequence[str], encoding: str, cached_int_max: int) -> OwnTokens:
    """`name`: a file, a directory or a model's name, as the script has it; beside `script`, or here."""
    if _GPT2.search(name):
        return OwnTokens(name, 50_257, known=encoding in ("gpt2", "r50k_base"))
    path = _find(name, os.path.dirname(script))
    found = _read(path) if path else None
    if found is None:
        return OwnTokens(name)
    entries = len(found["model"]["vocab"])
    own = _encoding_of(found)
    if own is None:
        return OwnTokens(name, entries)
    texts = [block.decode("utf-8", "ignore") for block in _blocks(files)]
    counted = load_encoding(encoding)
    mine, theirs = ([e.encode_ordinary(text) for text in texts] for e in (own, counted))
    tokens = [sum(map(len, ids)) for ids in (mine, theirs)]
    boxed = [sum(i > cached_int_max for ids in each for i in ids) for each in (mine, theirs)]
    if not all(tokens):  # no text to count
        return OwnTokens(name, entries)
    ratio = tokens[0] / tokens[1]
    return OwnTokens(name, entries, ratio, boxed[0] / boxed[1] if boxed[1] else ratio, known=True)


def _find(name: str, beside: str) -> str | None:
    for directory in ("", beside):
        path = os.path.join(directory, name)
        for candidate in (path, os.path.join(path, "tokenizer.json")):
            if name and os.path.isfile(candidate):
                return candidate
    return None


def _read(path: str) -> dict[str, Any] | None:
    """A tokenizer.json whose model has a vocabulary; None for anything else."""
    try:
        if os.path.getsize(path) > _LARGEST_FILE:
            return None
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        return found if isinstance(found["model"]["vocab"], (dict, list)) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _encoding_of(found: dict[str, Any]) -> tiktoken.Encoding | None:
    """The same merges in tiktoken; None for what is no byte-level BPE with a pattern that tiktoken has, too."""
    import tiktoken

    pattern, vocab = _pattern(found.get("pre_tokenizer")), found["model"]["vocab"]
    if pattern is None or found["model"].get("type") != "BPE" or found.get("normalizer") or not isinstance(vocab, dict):
        return None
    letters = _letters()
    ranks: dict[bytes, int] = {}
    for token, rank in vocab.items():
        if all(letter in letters for letter in token):
            ranks[bytes(letters[letter] for letter in token)] = rank
    for byte in range(256):  # tiktoken needs them all
        ranks.setdefault(bytes([byte]), len(vocab) + byte)
    try:
        return tiktoken.Encoding("own", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    except (ValueError, BaseException) as error:  # Rust's panic is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return None


def _pattern(pre: Any) -> str | None:
    """Of a ByteLevel pre-tokenizer with GPT-2's pattern, or one behind a Split with a pattern of its own."""
    if not isinstance(pre, dict):
        return None
    if pre.get("type") == "ByteLevel":
        return load_encoding("gpt2")._pat_str if pre.get("use_regex", True) else None
    parts = pre.get("pretokenizers") if pre.get("type") == "Sequence" else None
    if not isinstance(parts, list) or len(parts) != 2 or parts[1].get("type") != "ByteLevel":
        return None
    pattern = parts[0].get("pattern") if parts[0].get("type") == "Split" else None
    regex = pattern.get("Regex") if isinstance(pattern, dict) else None
    return regex if isinstance(regex, str) and not parts[1].get("use_regex", True) else None


def _letters() -> dict[str, int]:
    """GPT-2's letter for each byte: printable ones stand for themselves, the others for letters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    found = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    found.update({chr(0x100 + index): byte for index, byte in enumerate(others)})
    return found


def _blocks(files: Sequence[str]) -> list[bytes]:
    """Pieces of the text, spread over all of it."""
    sizes = [os.path.getsize(file) for file in files]
    total = max(1, sum(sizes))
    found = []
    for path, size in zip(files, sizes, strict=True):
        count = min(max(1, round(_BLOCKS * size / total)), -(-size // _BLOCK_BYTES))
        with open(path, "rb", buffering=0) as file:
            for index in range(count):
                file.seek(index * size // count)
                found.append(file.read(_BLOCK_BYTES))
    return found


def with_own_tokens(stats: CorpusStats, own: OwnTokens) -> CorpusStats:
    """The text as that tokenizer sees it."""
    low, high = (1.0, 1.0) if own.known else (_FEWEST, _MOST)

    def scaled(value: Range, factor: float) -> Range:
        return Range(round(value.low * factor * low), round(value.expected * factor), round(value.high * factor * high))

    slices = tuple(_scaled_slice(part, own, scaled) for part in stats.slices)
    return replace(
        stats,
        tokens=scaled(stats.tokens, own.tokens),
        slices=slices,
        bytes_per_token=stats.bytes_per_token / own.tokens,
        small_id_fraction=max(0.0, 1 - (1 - stats.small_id_fraction) * own.boxed / own.tokens),
        vocabulary=own.entries or stats.vocabulary,
    )


def _scaled_slice(part: SliceStats, own: OwnTokens, scaled: Any) -> SliceStats:
    return replace(part, tokens=scaled(part.tokens, own.tokens), boxed_tokens=scaled(part.boxed_tokens, own.boxed))
