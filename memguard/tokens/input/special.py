"""Special tokens in the text, such as <|endoftext|>: ordinary text, but for those that are asked for. Pure.

What is asked for becomes its one id wherever it stands, as with tiktoken's encode(text, allowed_special={…}); the text
on either side is encoded by itself. So a text may be cut before and behind a special token, and never inside of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from memguard.errors import ConfigError
from memguard.tokens.input.utf8 import Bytes

__all__ = ["Specials"]


@dataclass(frozen=True, slots=True)
class Specials:
    """The special tokens that the text may hold, as they are written there; none of them overlaps another."""

    tokens: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if b"" in self.tokens:
            raise ConfigError("--allow-special needs a special token", "such as '<|endoftext|>'")
        for one in self.tokens:
            for other in self.tokens:
                shared = any(one.endswith(other[:n]) for n in range(1, min(len(one), len(other)) + (one != other)))
                if shared or (one != other and other in one):
                    what = f"the special tokens {one.decode()!r} and {other.decode()!r} may overlap in a text"
                    raise ConfigError(what, "allow those only that cannot")

    @property
    def longest(self) -> int:
        return max(len(token) for token in self.tokens)

    def pattern(self) -> re.Pattern[bytes]:
        return re.compile(b"|".join(re.escape(token) for token in self.tokens))  # re keeps compiled patterns

    def outside(self, data: Bytes, cut: int) -> int:
        """`cut`, or the end of the special token that it falls into."""
        for match in self.pattern().finditer(data, max(0, cut - self.longest + 1)):
            if match.start() >= cut:
                break
            if match.end() > cut:
                return match.end()
        return cut

    def split(
        self, documents: Iterable[Bytes], ids: Mapping[bytes, int], between: int
    ) -> tuple[list[Bytes], list[int]]:
        """The stretches of ordinary text, and the id that stands between each and the next: a special token's, or
        `between` where one document ends and the next begins."""
        texts: list[Bytes] = []
        found: list[int] = []
        for number, document in enumerate(documents):
            if number:
                found.append(between)
            start = 0
            for match in self.pattern().finditer(document):
                texts.append(bytes(document[start : match.start()]))
                found.append(ids[match[0]])
                start = match.end()
            texts.append(bytes(document[start:]))
        return texts, found
