"""Numbers as text: str(ids), json.dumps(ids), " ".join(map(str, ids)). Pure."""

from __future__ import annotations

from memguard.script.interface import Call
from memguard.script.values import Buffer

__all__ = ["DIGITS", "digits"]

# Digits of a token id on average: 3.2 to 3.4 in three English texts with GPT-2's vocabulary, whose ids end at 50,256.
DIGITS = 3.4


def digits(call: Call, numbers: Buffer, width: float) -> Buffer:
    """A text of all of `numbers`, each with what stands behind it in `width` characters."""
    result = call.hold("digits", width=width, source=numbers)
    result.parts.update(numbers.parts)
    result.pieces.update(numbers.pieces)
    return result
