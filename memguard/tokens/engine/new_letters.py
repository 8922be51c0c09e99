"""Letters, marks and digits that came with Unicode 15.1 and later: the engines' tables may not agree on them. Pure.

A splitting pattern asks whether a character is a letter. tiktoken 0.14 answers from Unicode 16, gigatoken 0.10 from
Unicode 17: on 4,657 characters they differ (`python -m tests.bench tokenize exact` finds such), and so their tokens do.
Whoever wants tiktoken's tokens leaves a text with one of these to tiktoken.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from memguard.tokens.input.utf8 import Bytes, high_bytes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["holds_new_letters"]

_RANGES = """
    88F 897 B53-B54 C5C CDC 1ACF-1AF0 1C89-1C8A A7CB-A7CF A7D2 A7D4 A7DA-A7DD A7E2 A7F1 AB6C-AB6D 105C0-105F3
    107BB-107BF 10940-10959 10D40-10D65 10D69-10D6D 10D6F-10D85 10EC2-10EC7 10ECB-10ECF 10ED9-10EEE 10EF0-10EFC
    11380-11389 1138B 1138E 11390-113B5 113B7-113C0 113C2 113C5 113C7-113CA 113CC-113D3 113E1-113E2 116D0-116E3
    11B0A 11B60-11B67 11BC0-11BE0 11BF0-11BF9 11DB0-11DDB 11DE0-11DE9 11DF0-11DF1 11F5A 1246F 12475-1247F
    12550-12686 13460-143FA 16100-16139 16D40-16D6C 16D70-16D79 16EA0-16EB8 16EBB-16ED3 16FF2-16FF6 187F8-187FF
    18CD6-18CDA 18CFF 18D09-18D20 18D80-18DF2 18E00-19191 191A0-191D2 1B123-1B128 1B168 1CCF0-1CCF9 1D127-1D128
    1D250-1D252 1D25B-1D25C 1D25F 1D280-1D281 1D6A6 1DF1F-1DF24 1DF2B-1DF81 1DF90-1DF96 1DFCD-1DFFF 1E5D0-1E5FA
    1E6C0-1E6DE 1E6E0-1E6F5 1E6FE-1E6FF 2B73A-2B73F 2B81E 2CEA2-2CEAD 2EBF0-2EE5D 323B0-33479 3D000-3FC3F
"""

# The first bytes of their UTF-8.
_LEADS = (b"\xe0", b"\xe1", b"\xea", b"\xf0")


def holds_new_letters(data: Bytes) -> bool:
    """`data` is valid UTF-8. English costs next to nothing; only what is no ASCII is looked at, and only where one of
    these scripts, or an emoji, is among it."""
    if data.isascii():
        return False
    high = high_bytes(data)
    if not any(lead in high for lead in _LEADS):
        return False
    import numpy as np

    codes = np.frombuffer(high.decode("utf-8").encode("utf-32-le"), dtype="<u4")
    return bool(_table().take(codes).any())


@functools.lru_cache(maxsize=1)
def _table() -> npt.NDArray[np.bool_]:
    """Of all code points."""
    import numpy as np

    table = np.zeros(0x110000, dtype=np.bool_)
    for part in _RANGES.split():
        first, _, last = part.partition("-")
        table[int(first, 16) : int(last or first, 16) + 1] = True
    return table
