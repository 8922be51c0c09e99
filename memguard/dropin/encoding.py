"""tiktoken's Encoding, whose ids come packed: memguard.get_encoding and encoding_for_model."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, cast

from memguard.dropin.buffer import TokenBuffer, from_arrays, pending
from memguard.dropin.buffers import TokenBuffers
from memguard.dropin.encoder import encoder_of, utf8_of
from memguard.dropin.text import LazyText
from memguard.errors import ConfigError
from memguard.tokens.engine.encode import BUNDLED, load_encoding
from memguard.tokens.input.special import Specials

if TYPE_CHECKING:
    import tiktoken

__all__ = ["Encoding", "encoding_for_model", "get_encoding"]

_LONG = 1 << 16  # characters from which on a text is encoded at once
_STEP = 1 << 17  # characters of a long str that are turned into bytes together


def get_encoding(encoding_name: str) -> Encoding:
    """tiktoken.get_encoding(name), with ids in a TokenBuffer: the same ids, the same errors, 2 or 4 bytes an id.

    gpt2 and r50k_base need no network. Raises what tiktoken raises for a name that it does not know.
    """
    if encoding_name not in BUNDLED:
        import tiktoken

        tiktoken.get_encoding(encoding_name)
    return _encoding(encoding_name)


@functools.lru_cache(maxsize=8)
def _encoding(name: str) -> Encoding:
    return Encoding(name)


def encoding_for_model(model_name: str) -> Encoding:
    """tiktoken.encoding_for_model(model), likewise. Raises KeyError for a model that tiktoken does not know."""
    import tiktoken

    return get_encoding(tiktoken.encoding_name_for_model(model_name))


class Encoding:
    """What tiktoken's Encoding has; encode, encode_ordinary and their batches give TokenBuffer and TokenBuffers.

    A text of memguard.open_text is encoded block by block; only where a text has no safe place to cut (a word of
    megabytes) it takes the memory that tiktoken takes. Short texts are encoded when somebody looks at their ids, many
    together. Whatever is wrong with a text or an argument is raised by the call itself.
    """

    def __init__(self, encoding_name: str) -> None:
        self.name = encoding_name
        self._encoder = encoder_of(encoding_name)
        self._tokens = dict(self._encoder.vocabulary.special)

    @functools.cached_property
    def _original(self) -> tiktoken.Encoding:
        if self.name in BUNDLED:
            return load_encoding(self.name)
        import tiktoken

        return tiktoken.get_encoding(self.name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._original, name)

    def __repr__(self) -> str:
        return f"<Encoding {self.name!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return get_encoding, (self.name,)

    @property
    def n_vocab(self) -> int:
        return self._encoder.n_vocab

    @property
    def max_token_value(self) -> int:
        return self._encoder.n_vocab - 1

    @property
    def eot_token(self) -> int:
        return self._tokens["<|endoftext|>"]

    @property
    def special_tokens_set(self) -> set[str]:
        return set(self._tokens)

    def encode_ordinary(self, text: str) -> TokenBuffer | list[int]:
        """The ids of `text`, special tokens as ordinary text."""
        if type(text) is str:
            if len(text) < _LONG and self._fast:
                return pending(self._encoder, [text] if text else [], len(text))
            if len(text) < _LONG:  # tiktoken does the work: nothing is gained by waiting
                return self._original.encode_ordinary(text)
            return self._long(_pieces(text))
        if isinstance(text, LazyText):
            return self._long(text.utf8())
        return self._original.encode_ordinary(text)

    def encode(
        self,
        text: str,
        *,
        allowed_special: Any = frozenset(),
        disallowed_special: Any = "all",
    ) -> TokenBuffer | list[int]:
        """The ids of `text`. Raises ValueError where it holds a special token that is not allowed, as tiktoken does."""
        if not isinstance(text, (str, LazyText)) or not self._usual(allowed_special, disallowed_special):
            return self._original.encode(text, allowed_special=allowed_special, disallowed_special=disallowed_special)
        allowed = self._tokens.keys() if allowed_special == "all" else allowed_special
        wrong = self._tokens.keys() - allowed if disallowed_special == "all" else disallowed_special
        if any(token in text for token in wrong):
            named = text if isinstance(text, str) else next(_parts(text.utf8(), wrong, only=True))
            return self._original.encode(named, disallowed_special=set(wrong))
        found = [token for token in allowed if token in self._tokens and token in text]
        if not found:
            return self.encode_ordinary(text)
        return self._with_specials(text, found)

    def encode_ordinary_batch(self, text: Iterable[str], *, num_threads: int = 8) -> TokenBuffers:
        """The ids of each text, packed together."""
        return TokenBuffers(map(self.encode_ordinary, text))

    def encode_batch(
        self,
        text: Iterable[str],
        *,
        num_threads: int = 8,
        allowed_special: Any = frozenset(),
        disallowed_special: Any = "all",
    ) -> TokenBuffers:
        """The ids of each text, packed together. Raises ValueError as `encode` does."""
        encode = functools.partial(self.encode, allowed_special=allowed_special, disallowed_special=disallowed_special)
        return TokenBuffers(map(encode, text))

    def decode(self, tokens: Sequence[int], errors: str = "replace") -> str:
        """The text of `tokens`, which are all in memory meanwhile."""
        return self._original.decode(list(tokens), errors)

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        return self._original.decode_bytes(list(tokens))

    # -- how

    @functools.cached_property
    def _fast(self) -> bool:
        return self._encoder.fast

    def _long(self, pieces: Iterable[bytes]) -> TokenBuffer:
        return from_arrays(self._encoder.stream(pieces))

    def _usual(self, allowed: Any, disallowed: Any) -> bool:
        """Whether these arguments are of the kinds that tiktoken's signature names, and no special token overlaps
        another: then the text is ordinary up to the next one."""
        if not (isinstance(allowed, AbstractSet) or allowed == "all"):
            return False
        if disallowed != "all" and (isinstance(disallowed, str) or not isinstance(disallowed, Collection)):
            return False
        strings = (*(() if allowed == "all" else allowed), *(() if disallowed == "all" else disallowed))
        return self._apart and all(type(token) is str and token for token in strings)

    @functools.cached_property
    def _apart(self) -> bool:
        try:
            Specials(tuple(token.encode() for token in self._tokens))
        except ConfigError:
            return False
        return True

    def _with_specials(self, text: str | LazyText, tokens: list[str]) -> TokenBuffer | list[int]:
        if isinstance(text, str) and len(text) < _LONG:
            if not self._fast:
                return self._original.encode(text, allowed_special=set(tokens), disallowed_special=())
            parts = re.split(f"({'|'.join(map(re.escape, tokens))})", text)
            entries = [self._tokens[part] if number % 2 else part for number, part in enumerate(parts) if part]
            return pending(self._encoder, entries, len(text))
        pieces = _pieces(text) if isinstance(text, str) else text.utf8()
        return from_arrays(self._between(_parts(pieces, tokens)))

    def _between(self, parts: Iterator[bytes | str]) -> Iterator[Any]:
        import numpy as np

        for is_special, run in itertools.groupby(parts, lambda part: isinstance(part, str)):
            if is_special:
                yield np.array([self._tokens[cast("str", token)] for token in run], np.uint32)
            else:
                yield from self._encoder.stream(cast("Iterator[bytes]", run))


def _pieces(text: str) -> Iterator[bytes]:
    """Its UTF-8, piece by piece; two surrogates that are one character stay together."""
    start = 0
    while start < len(text):
        end = start + _STEP
        if "\ud800" <= text[min(end, len(text)) - 1] <= "\udbff":
            end += 1
        yield utf8_of(text[start:end])
        start = end


def _parts(pieces: Iterable[bytes], tokens: Iterable[str], *, only: bool = False) -> Iterator[Any]:
    """A text's UTF-8, cut at `tokens`: bytes for what is between, str for a token. `only`: the tokens alone."""
    wanted = [token.encode() for token in tokens]
    pattern = re.compile(b"|".join(map(re.escape, wanted)))
    keep = max(map(len, wanted)) - 1
    rest = b""
    for piece in itertools.chain(pieces, [None]):
        rest, start = rest + (piece or b""), 0
        for match in pattern.finditer(rest):
            if match.start() > start and not only:
                yield rest[start : match.start()]
            yield match[0].decode()
            start = match.end()
        end = len(rest) if piece is None else max(start, len(rest) - keep)
        while piece is not None and start < end < len(rest) and 0x80 <= rest[end] < 0xC0:
            end -= 1  # the middle of a character
        if end > start and not only:
            yield rest[start:end]
        rest = rest[end:]
