"""What one file, and some files, of a folder weigh: those that are largest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from memguard.estimate.script_job import read_plan, with_neighbours
from tests.estimate.script_texts import M, ascii_text, at_line, peak, weigh

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


@pytest.mark.parametrize("loop", ["for i in [0]:", "for i in (0,):", "for i in range(1):", "for name in ['a']:"])
@pytest.mark.parametrize("add", ["lines.extend({})", "lines += {}"])
def test_lines_are_handed_over(loop: str, add: str) -> None:
    """The list that readlines() gives lives until they are added: of the lines, there is one only."""
    read = 'open("a").readlines()'
    alone = peak(f"lines = {read}\nprint(lines)\n")
    added = peak(f"lines = []\n{loop}\n    {add.format(read)}\nprint(lines)\n")
    slots = 8 * M  # of a million lines
    assert added - alone == pytest.approx(slots, rel=0.05)


def test_lines_that_a_name_keeps_are_counted_there() -> None:
    """What is let go by the list that they were added to is still there."""
    alone = weigh('kept = open("a").readlines()\nprint(kept)\n')
    both = weigh('lines = []\nkept = open("a").readlines()\nlines.extend(kept)\nlines.clear()\nprint(kept)\n')
    assert at_line(both, 5) >= at_line(alone, 2)


def test_the_files_beside_the_one_given_count_where_the_script_reads_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").mkdir()
    parts = [f"parts/{name}.txt" for name in "abc"]
    for part in parts:
        Path(part).write_text("a text\n")
    Path("parts/other.md").write_text("no text of it\n")
    script = tmp_path / "s.py"
    script.write_text("import glob\nids = [open(p).read() for p in glob.glob('parts/*.txt')]\n")
    files, notes = with_neighbours(read_plan(str(script)), (parts[0],))
    assert sorted(files) == parts
    assert len(notes) == 1
    assert "3 files" in notes[0]
    assert with_neighbours(read_plan(str(script)), tuple(parts)) == (tuple(parts), ())
    script.write_text("import sys\nids = open(sys.argv[1]).read()\n")
    assert with_neighbours(read_plan(str(script)), (parts[0],)) == ((parts[0],), ())
