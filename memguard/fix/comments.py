"""`# memguard: ignore` and `# memguard: ignore[rule, rule]`: lines that stay as they are. Pure."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass

__all__ = ["Ignore", "find_ignores"]

_COMMENT = re.compile(r"#\s*memguard:\s*ignore(?:\[([\w\s,-]*)\])?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ignore:
    line: int
    rules: frozenset[str]  # none: all

    def covers(self, rule: str) -> bool:
        return not self.rules or rule in self.rules


def find_ignores(source: str) -> tuple[Ignore, ...]:
    """By the line that each stands on. A text that looks like one is none."""
    if "memguard" not in source:
        return ()
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source, newline="").readline):
            match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
            if match:
                rules = frozenset(word.strip() for word in (match.group(1) or "").split(",") if word.strip())
                found.append(Ignore(token.start[0], rules))
    except (tokenize.TokenError, SyntaxError):
        return tuple(found)
    return tuple(found)
