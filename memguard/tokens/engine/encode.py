"""Encodings and the engines that turn bytes into token ids.

`load_encoding` gives tiktoken's own Encoding, `make_engine` an Engine: gigatoken where its tokens are known to be
tiktoken's, else tiktoken. Both treat `<|endoftext|>` and the like in the text as ordinary text. gpt2 and r50k_base
need no network; every other encoding comes through tiktoken's own loader and its cache. Where a text may be cut is
split.py's matter, and so is the UTF-8 of the input utf8.py's: an engine is given valid UTF-8 only.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from memguard.errors import ConfigError, EngineNotInstalled, InputError
from memguard.inject import gpt2_files
from memguard.tokens.engine.download import bounded_downloads, missing_file
from memguard.tokens.engine.new_letters import holds_new_letters
from memguard.tokens.input.split import PATTERNS
from memguard.tokens.input.utf8 import Bytes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tiktoken

    Ids = npt.NDArray[np.uint32]

__all__ = [
    "BUNDLED",
    "ENGINES",
    "Engine",
    "Vocabulary",
    "drop_encodings",
    "load_encoding",
    "load_vocabulary",
    "make_engine",
]

BUNDLED = ("gpt2", "r50k_base")
ENGINES = ("auto", "gigatoken", "tiktoken")

_EOT, _GPT2_EOT = "<|endoftext|>", 50256

# Stands between the documents of one call: the four separators of ASCII, in order. A text that holds it is encoded
# another way.
_SEPARATOR = b"\x1c\x1d\x1e\x1f"

# gigatoken's name for the pattern of each family of split.py.
_GIGATOKEN_PATTERN = {"r50k": "gpt2", "cl100k": "gpt4", "o200k": "o200k"}

# Where gigatoken is known to give tiktoken's tokens, so that `auto` may choose it. Of 2 million hard strings for each
# of gpt2, p50k_base, cl100k_base and o200k_base none is encoded differently (`python -m tests.bench tokenize exact`);
# r50k_base is gpt2 by another name; p50k_edit and o200k_harmony have the ranks and patterns of p50k_base and
# o200k_base, and differ in special tokens alone.
_GIGATOKEN_EXACT = ("gpt2", "r50k_base", "p50k_base", "p50k_edit", "cl100k_base", "o200k_base", "o200k_harmony")


class Engine(Protocol):
    """Bytes of valid UTF-8 → token ids. Not shared between threads: each makes its own."""

    name: str  # "gigatoken" or "tiktoken"
    n_vocab: int
    eot: int | None

    def encode(self, data: Bytes) -> Ids: ...

    def encode_documents(self, documents: list[Bytes]) -> Ids:
        """Each document by itself, and the id `n_vocab`, which no text has, between one and the next."""
        ...

    def forget(self) -> bool:
        """Gives back memory held for speed alone; False where there is none to give."""
        ...


@dataclass(frozen=True)
class Vocabulary:
    """What the rest of tokens/ must know of an encoding."""

    name: str
    n_vocab: int
    eot: int | None
    family: str | None  # of split.py; None where no safe cut is known
    special: tuple[tuple[str, int], ...] = ()  # every special token and its id

    @property
    def dtype(self) -> str:
        return "uint16" if self.n_vocab <= 1 << 16 else "uint32"


@functools.lru_cache(maxsize=2)
def load_vocabulary(name: str) -> Vocabulary:
    """Raises ConfigError for an unknown encoding, InputError where its files cannot be had."""
    if name in BUNDLED:
        return Vocabulary(name, _GPT2_EOT + 1, _GPT2_EOT, "r50k", ((_EOT, _GPT2_EOT),))
    encoding = load_encoding(name)
    special = encoding._special_tokens
    return Vocabulary(name, encoding.n_vocab, special.get(_EOT), _family(encoding), tuple(sorted(special.items())))


@functools.lru_cache(maxsize=2)
def load_encoding(name: str) -> tiktoken.Encoding:
    """tiktoken's Encoding of that name, and without a network for gpt2 and r50k_base.

    Raises ConfigError for an unknown name; InputError, naming the file and where to put it, when tiktoken cannot
    download what it needs.
    """
    import tiktoken

    if name in BUNDLED:
        with _damage_told():
            ranks = {token: rank for rank, token in enumerate(gpt2_files.merge_order())}
        return tiktoken.Encoding(
            name,
            explicit_n_vocab=_GPT2_EOT + 1,
            pat_str=_gpt2_pattern(),
            mergeable_ranks=ranks,
            special_tokens={_EOT: _GPT2_EOT},
        )
    names = tiktoken.list_encoding_names()
    if name not in names:
        raise ConfigError(f"no such encoding: {name!r}", _suggestion(name, names))
    wanted: list[str] = []
    with bounded_downloads(wanted):
        try:
            return tiktoken.get_encoding(name)
        except Exception as error:
            if not wanted:
                raise InputError(f"cannot load encoding {name}: {error}", path=name) from error
            raise missing_file(name, wanted[-1], error) from error


def make_engine(
    name: str, engine: str = "auto", *, documents: bool = False, exact: tuple[str, ...] = _GIGATOKEN_EXACT
) -> Engine:
    """An engine for the encoding `name`: `gigatoken`, `tiktoken`, or `auto`; with `documents`, for encode_documents.

    `auto` is gigatoken where it is installed and its tokens are known to equal tiktoken's (`exact`), else tiktoken.
    Raises EngineNotInstalled when gigatoken is asked for by name and is not there.
    """
    if engine not in ENGINES:
        raise ConfigError(f"no such engine: {engine!r}", f"one of {', '.join(ENGINES)}")
    if engine == "gigatoken" or (engine == "auto" and name in exact):
        try:
            import gigatoken.gigatoken_rs  # noqa: F401
        except ImportError:
            if engine == "gigatoken":
                raise EngineNotInstalled(
                    "the engine gigatoken is not installed", "pip install gigatoken, or --engine tiktoken", extra="all"
                ) from None
        else:
            return _Gigatoken(name, documents)
    return _Tiktoken(name)


class _Tiktoken:
    name = "tiktoken"

    def __init__(self, encoding_name: str) -> None:
        vocabulary = load_vocabulary(encoding_name)
        self._encoding = load_encoding(encoding_name)
        self.n_vocab, self.eot = vocabulary.n_vocab, vocabulary.eot

    def encode(self, data: Bytes) -> Ids:
        import numpy as np

        text = data.decode("utf-8")
        try:
            ids = self._encoding.encode_ordinary(text)
        except BaseException as error:
            # A panic in tiktoken's regex engine (a run of about a million spaces before a word) is no Exception.
            if type(error).__name__ != "PanicException":
                raise
            raise ValueError(f"tiktoken itself gave up ({error})") from None
        return np.array(ids, dtype=np.uint32)

    def encode_documents(self, documents: list[Bytes]) -> Ids:
        import numpy as np

        separator = np.array([self.n_vocab], dtype=np.uint32)
        parts = [part for document in documents for part in (separator, self.encode(document))]
        return np.concatenate(parts[1:]) if parts else separator[:0]

    def forget(self) -> bool:
        return False


class _Gigatoken:
    """gigatoken's Rust core, with the GIL released while it works.

    `encode_batch_padded` of one BytesSource is the one call that releases the GIL, returns a plain array and does not
    import awkward (0.2 s and 25 MiB). Its cache of words grows without bound (10 MiB per MiB of random words):
    `forget` starts afresh.
    """

    name = "gigatoken"

    def __init__(self, encoding_name: str, documents: bool) -> None:
        from gigatoken.gigatoken_rs import BytesSource, PadTruncate

        vocabulary = load_vocabulary(encoding_name)
        if vocabulary.family is None:
            raise ConfigError(f"gigatoken does not know the pattern of {encoding_name}", "use --engine tiktoken")
        self._encoding_name = encoding_name
        self._pattern = _GIGATOKEN_PATTERN[vocabulary.family]
        self.n_vocab, self.eot = vocabulary.n_vocab, vocabulary.eot
        self._source, self._padding = BytesSource, PadTruncate(0)
        # Without special tokens, or `<|endoftext|>` in the text would become 50256, which encode_ordinary never gives.
        # The one exception is our own separator: the engine takes the documents apart there, a whole block in one call.
        self._special = {_SEPARATOR.decode(): self.n_vocab} if documents else {}
        self._tokenizer = self._load()
        self._tiktoken: _Tiktoken | None = None

    def _load(self) -> Any:
        from gigatoken.gigatoken_rs import BPETokenizer

        with _as_file(_rank_file(self._encoding_name)) as path:
            return BPETokenizer.from_tiktoken(path, self._pattern, self._special)

    def encode(self, data: Bytes) -> Ids:
        if holds_new_letters(data) or (self._special and _SEPARATOR in data):
            return self._oracle().encode(data)
        return self._encode(data)

    def encode_documents(self, documents: list[Bytes]) -> Ids:
        joined = _SEPARATOR.join(documents)
        if holds_new_letters(joined) or joined.count(_SEPARATOR) != len(documents) - 1:
            return self._oracle().encode_documents(documents)
        return self._encode(joined)

    def _oracle(self) -> _Tiktoken:
        """For the rare text that holds our separator, or what the two engines do not see alike."""
        if self._tiktoken is None:
            self._tiktoken = _Tiktoken(self._encoding_name)
        return self._tiktoken

    def _encode(self, data: Bytes) -> Ids:
        rows, _ = self._tokenizer.encode_batch_padded(self._source(cast("bytes", data)), self._padding, parallel=False)
        ids: Ids = rows.reshape(-1)
        return ids

    def forget(self) -> bool:
        self._tokenizer = None  # first: old and new together would be one table too many
        self._tokenizer = self._load()
        return True


def _family(encoding: tiktoken.Encoding) -> str | None:
    """The family of split.py whose pattern this is: by the pattern itself, and for tiktoken's own also by name, whose
    spelling changes at times. None for any other pattern, as a plug-in of tiktoken's may bring."""
    for family, spellings in PATTERNS.items():
        if encoding._pat_str in (*spellings, _gpt2_pattern() if family == "r50k" else None):
            return family
    known = {"cl100k_base": "cl100k", "o200k_base": "o200k", "o200k_harmony": "o200k"}
    return known.get(encoding.name)


def _gpt2_pattern() -> str:
    """tiktoken has a faster form of the pattern of GPT-2's release, which is preferred where it is there."""
    from tiktoken_ext import openai_public  # type: ignore[import-untyped, unused-ignore]

    return getattr(openai_public, "r50k_pat_str", PATTERNS["r50k"][0])


@functools.lru_cache(maxsize=2)
def _rank_file(name: str) -> bytes:
    """The vocabulary as tiktoken writes it: `base64(token) rank` per line. Kept, since each worker reads it."""
    from binascii import b2a_base64

    if name in BUNDLED:
        with _damage_told():
            return gpt2_files.ranks()
    ranks = load_encoding(name)._mergeable_ranks
    ranked = _without_gaps([(rank, token) for token, rank in ranks.items()])
    return b"".join([b"%b %d\n" % (b2a_base64(token, newline=False), rank) for rank, token in ranked])


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(str(error), "install memguard-prep again", path=gpt2_files.__file__) from None


def _without_gaps(ranked: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """gigatoken wants a token for every rank. p50k_base leaves out that of <|endoftext|>: a digit before a letter takes
    its place, which is a token of two parts that no piece of any of the patterns holds, so that it is never found."""
    ranks, tokens = {rank for rank, _ in ranked}, {token for _, token in ranked}
    unused = (pair for pair in (b"%d%c" % (n // 26, 97 + n % 26) for n in range(260)) if pair not in tokens)
    return sorted([*ranked, *zip((rank for rank in range(max(ranks)) if rank not in ranks), unused, strict=False)])


def drop_encodings() -> None:
    """Gives back what load_encoding and the making of engines keep for the next time."""
    load_encoding.cache_clear()


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """A path under which `data` can be read meanwhile; on Linux it touches no disk (a full /tmp is no obstacle)."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        descriptor = os.memfd_create("memguard-ranks")
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="memguard-") as directory:
        path = os.path.join(directory, "ranks.tiktoken")
        with open(path, "wb") as file:
            file.write(data)
        yield path


def _suggestion(name: str, names: list[str]) -> str:
    import difflib

    import tiktoken

    try:
        return f"{name} is a model; its encoding is {tiktoken.encoding_name_for_model(name)}"
    except KeyError:
        pass
    close = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(close)}?" if close else f"one of {', '.join(sorted(names))}"
