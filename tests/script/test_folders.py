"""A folder of files, read one at a time: what is read is one of many files, however its path is put together."""

from __future__ import annotations

import pytest

from tests.script.outcome import outcome

_WALK = """\
def files_in(root):
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(".txt"):
                yield os.path.join(folder, name)
"""


@pytest.mark.parametrize(
    ("before", "loop", "path"),
    [
        ("", "n in os.listdir('a')", "os.path.join('a', n)"),
        ("", "n in tqdm.tqdm(sorted(os.listdir('a')))", "f'a/{n}'"),
        ("", "n in os.listdir('a')", "'a/' + n"),
        ("", "n in os.listdir('a')", "'a/%s' % n"),
        ("", "n in os.listdir('a')", "'a/{}'.format(n)"),
        ("", "e in os.scandir('a')", "e.path"),
        ("", "e in pathlib.Path('a').iterdir()", "pathlib.Path('b') / e.name"),
        ("", "e in list(pathlib.Path('a').rglob('*'))", "e.with_suffix('.txt')"),
        ("names = sorted([f'a/{n}' for n in os.listdir('a') if n.endswith('.txt')])\n", "n in names", "n"),
        ("names = [str(p) for p in pathlib.Path('a').glob('*') if p.is_file()]\n", "n in names[:100]", "n"),
        ("names = glob.glob('a/*')\nrandom.shuffle(names)\n", "i in range(len(names))", "names[i]"),
        ("names = glob.glob('a/*') + glob.glob('b/*')\n", "i, n in enumerate(names)", "n"),
        (f"{_WALK}names = list(files_in('a'))\n", "n in names", "n"),
        (
            "names = []\nfor d in os.listdir('a'):\n    names += [os.path.join(d, n) for n in os.listdir(d)]\n"
            "random.shuffle(names)\n",
            "n in names",
            "n",
        ),
        ("names = sorted(glob.glob('a/*'))\n", "i in range(0, len(names), 8)", "names[i : i + 8][0]"),
    ],
)
def test_one_of_many_files(before: str, loop: str, path: str) -> None:
    read = f"for {loop}:\n    y = open({path}).read()\n"
    assert outcome("None", before=before, then=read) == "text file"
    assert outcome(f"[open({path}).read() for {loop}]", before=before) == "strings 1"


def test_some_of_many_files() -> None:
    """Of a slice that moves with the loop, no more than that slice."""
    read = "for i in range(0, len(names), 8):\n    y = [open(n).read() for n in names[i : min(i + 8, len(names))]]\n"
    for names in ("glob.glob('a/*')", "[f'a/{n}' for n in os.listdir('a')]"):
        assert outcome("None", before=f"names = {names}\n", then=read) == "strings 8 files"


def test_a_folder_among_many_is_not_one_file() -> None:
    read = "for d in pathlib.Path('a').iterdir():\n    y = [p.read_text() for p in d.glob('*.txt')]\n"
    assert outcome("None", then=read) == "strings 1"
