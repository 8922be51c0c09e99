"""How many words and lines of a text differ, as the estimate takes them from a sample, against all of it counted.

usage: python -m tests.bench distinct FILE …

For each file: words between spaces that differ, the bytes of one of them as a str over those of a usual word, and the
share of the lines, and of their bytes, that differ. What was counted stands first, what the estimate says after it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from memguard.estimate.corpus.shape import read_shape
from memguard.estimate.corpus.vocabulary import with_distinct_between_spaces, with_distinct_lines

_ALIGNMENT = 16


def _object(word: str) -> int:
    return -(-sys.getsizeof(word) // _ALIGNMENT) * _ALIGNMENT


def counted(path: str) -> tuple[int, float, float, float]:
    """(words that differ, bytes of one of them over those of a usual one, share of lines, of their bytes)"""
    data = Path(path).read_bytes()
    words = data.decode("utf-8", "replace").split()
    different = set(words)
    longer = sum(map(_object, different)) / max(1, len(different)) / (sum(map(_object, words)) / max(1, len(words)))
    lines = data.split(b"\n")
    once = set(lines)
    return len(different), longer, len(once) / len(lines), sum(map(len, once)) / max(1, sum(map(len, lines)))


def main(arguments: list[str]) -> int:
    """Prints one row for each file."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench distinct")
    parser.add_argument("files", nargs="+", metavar="FILE")
    print(f"{'file':24}{'words':>20}{'longer':>14}{'lines':>14}{'line bytes':>14}{'CPU s':>8}")
    for path in parser.parse_args(arguments).files:
        start = time.process_time()
        shape = with_distinct_lines(with_distinct_between_spaces(read_shape([path]), [path]), [path])
        took = time.process_time() - start
        words, longer, lines, size = counted(path)
        print(
            f"{Path(path).name[:23]:24}{words:>10}{shape.distinct_words:>10}{longer:>7.2f}{shape.distinct_word_length:>7.2f}"
            f"{lines:>7.3f}{shape.distinct_lines:>7.3f}{size:>7.3f}{shape.distinct_line_bytes:>7.3f}{took:>8.2f}"
        )
    return 0
