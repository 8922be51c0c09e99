"""What one file, and some files, of a folder weigh: those that are largest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.estimate.script_texts import M, ascii_text, at_line, weigh

FOLDER = replace(ascii_text(), largest_files=(3 * M, 2 * M, 1 * M))  # of 100 MB


@pytest.mark.parametrize(
    ("amount", "megabytes"),
    [(1, 3), (2, 5), (3, 6), (5, 8), (200, 100)],  # those behind the third are as large as that at most
)
def test_files_of_a_folder(amount: int, megabytes: int) -> None:
    source = f"""\
import os
names = os.listdir("a")
for i in range(0, len(names), {amount}):
    texts = [open(f"a/{{name}}", "rb").read() for name in names[i:i + {amount}]]
    print(len(texts))
    del texts
"""
    report = weigh(source, FOLDER)
    assert at_line(report, 5) - at_line(report, 2) == pytest.approx(megabytes * M, rel=0.01, abs=M / 2)
