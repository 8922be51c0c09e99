"""LazyText against the str that open() gives."""
# ruff: noqa: RUF005, SIM202, SIM300, UP031

from __future__ import annotations

import copy
import json
import os
import pickle
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memguard import open_text, read_text
from memguard.dropin import source, spill, text, text_file
from memguard.dropin.text import LazyText

LAW = settings(deadline=None, max_examples=max(8, settings().max_examples // 3))


@pytest.fixture(autouse=True, scope="module")
def _small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Every text is cut into many blocks."""
    directory = tmp_path_factory.mktemp("text")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(spill.SPILL_VARIABLE, str(directory))
        patch.setattr(source, "_ENTRY", 8)
        patch.setattr(source, "_STEP", 16)
        patch.setattr(text, "SHORT", 4)
        patch.setattr(text_file, "_STEP", 5)
        yield directory


PIECES = ["a", "b", "ab", " ", "\n", "\n\n", "é", "ß", "中", "😀", "\u2028", "\x1c", "\x0b", "aaa", "\u3000", "0", "\0"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
WITH_CR = st.lists(st.sampled_from([*PIECES, "\r", "\r\n"]), max_size=40).map("".join)
PLACES = st.one_of(st.none(), st.integers(-90, 90))


def lazy(value: str, directory: Path) -> LazyText:
    path = directory / "text"
    path.write_bytes(value.encode())
    return read_text(path, encoding="utf-8", newline="")  # type: ignore[no-any-return]


def plain(value: Any) -> Any:
    if isinstance(value, LazyText):
        return str(value)
    return list(value) if type(value).__name__ == "Pieces" else value


def result(function: Callable[[Any], Any], value: Any) -> Any:
    try:
        return plain(function(value))
    except Exception as error:
        return f"{type(error)} {error}"


SEARCHES = ["", "a", "ab", "aa", "aaa", "\n\n", "😀", "ba", "中", "x", "a" * 30]
READS: list[Callable[[Any], Any]] = [
    *(len, str, repr, list, set, sorted, Counter, bool, tuple),
    *(lambda t, s=s: s in t for s in SEARCHES),
    *(lambda t, s=s: (t.count(s), t.find(s), t.startswith(s), t.endswith(s)) for s in SEARCHES),
    *(lambda t, s=s: t.index(s) for s in ("中", "")),
    *(lambda t, s=s: t.split(s) for s in (None, *SEARCHES)),
    *(lambda t, s=s: (plain(t.strip(s)), plain(t.lstrip(s)), plain(t.rstrip(s))) for s in (None, "", "a", "\na中")),
    lambda t: plain(t.strip()[1:5]),
    lambda t: plain(t.splitlines()),
    lambda t: plain(t.splitlines(True)),
    lambda t: plain(t.splitlines(keepends=True)),
    lambda t: t.startswith(("b", "ab")) or t.endswith(("\n", "😀")),
    lambda t: t.isascii(),
    lambda t: f"{t}|{t:>50}|{len(t):,}",
    lambda t: "%s" % t,
    lambda t: "-".join(t),
    lambda t: t.encode() + t.encode("utf-16") + t.encode("ascii", "replace"),
    lambda t: t.encode("latin-1"),
    lambda t: 5 in t,
    lambda t: t["a"],
    lambda t: t[1.5],
    lambda t: t.find("a", 3, -2) + 100 * t.count("a", 3, -2),
    lambda t: t.find(5),
    lambda t: t.startswith("a", 3) or t.endswith("a", 2, 9),
    lambda t: t.startswith(5),
    lambda t: t == "ab" or "ab" == t or t != "ab",
    lambda t: t == 5,
    lambda t: t[: int(len(t) * 0.9)] == t[: int(len(t) * 0.9)],
    lambda t: (t[: int(len(t) * 0.9)], t[int(len(t) * 0.9) :])[1],
    lambda t: pickle.loads(pickle.dumps(t)),
    lambda t: copy.deepcopy(copy.copy(t)),
    lambda t: dict.fromkeys(t, 0),
    lambda t: [c for c in t if c.isalpha()],
    lambda t: np.array(list(t), dtype=object).shape,
]


@given(WITH_CR)
@LAW
def test_what_reads_a_str_reads_it(_small: Path, value: str) -> None:
    ours = lazy(value, _small)
    assert type(ours) is LazyText
    assert ours == value and value == ours and not ours != value
    for number, read in enumerate(READS):
        assert result(read, ours) == result(read, value), number


@given(TEXTS, PLACES, PLACES, st.sampled_from(SEARCHES))
@LAW
def test_slices_are_slices(_small: Path, value: str, start: int | None, stop: int | None, part: str) -> None:
    ours = lazy(value, _small)
    found = ours[start:stop]
    assert str(found) == value[start:stop]
    assert isinstance(found, str) == (len(value[start:stop]) <= 4)
    for read in (
        lambda t: t[start:stop].count(part),
        lambda t: t.count(part, start, stop),
        lambda t: t.find(part, start, stop),
        lambda t: t.startswith(part, start, stop),
        lambda t: t.endswith(part, start, stop),
        lambda t: plain(t[start:stop].split(part)),
        lambda t: list(t[start:stop]),
        lambda t: plain(t[start:stop][1:7]),
        lambda t: plain(t[start:stop].strip()),
        lambda t: [t[i] for i in (start, stop) if i is not None],
    ):
        assert result(read, ours) == result(read, value)


@given(TEXTS)
@LAW
def test_pieces_are_a_list(_small: Path, value: str) -> None:
    for split in (lambda t: t.split("a"), lambda t: t.split(), lambda t: t.splitlines()):
        ours, theirs = split(lazy(value, _small)), split(value)
        assert len(ours) == len(theirs) and ours == theirs and list(ours) == list(ours) == theirs
        assert repr(ours) == repr(theirs)
        for read in (
            *(lambda x, i=i: x[i] for i in (0, 1, -1, 5, 2, 0, 60)),
            *(lambda x, i=i: x[i] for i in (slice(1, 3), slice(None, None, -1), slice(5, 0, -2), slice(-3, None))),
            lambda x: (x.count(""), "" in x, "b" in x),
            lambda x: x.index("b"),
            lambda x: x["a"],
            lambda x: [x[i] for i in range(len(x))],
            lambda x: random.Random(1).sample(x, min(3, len(x))),
            lambda x: pickle.loads(pickle.dumps(x)),
        ):
            assert result(read, ours) == result(read, theirs)


ENCODINGS = ["utf-8", "UTF8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "ascii", "cp1252", None]


@given(
    st.one_of(WITH_CR.map(str.encode), WITH_CR.map(lambda t: t.encode("utf-16")), st.binary(max_size=60)),
    st.sampled_from(ENCODINGS),
    st.sampled_from([None, "strict", "replace", "ignore", "surrogateescape", "backslashreplace"]),
    st.sampled_from([None, "", "\n", "\r", "\r\n"]),
)
@LAW
def test_files_are_read_as_open_reads_them(
    _small: Path, data: bytes, encoding: str | None, errors: str | None, newline: str | None
) -> None:
    path = _small / "file"
    path.write_bytes(data)

    def read(opener: Any) -> Any:
        with opener(path, "r", encoding=encoding, errors=errors, newline=newline) as file:
            content = file.read()
            return str(content), str(file.read()), file.encoding, file.name, file.mode

    assert result(lambda _: read(open_text), 0) == result(lambda _: read(open), 0)


def test_an_invalid_byte_is_named_as_open_names_it(tmp_path: Path) -> None:
    path = tmp_path / "text"
    for data in (b"x" * 37 + b"\xff" + b"y" * 50, b"x" * 50 + b"\xe4\xb8", b"\xc3\xa9" * 20 + b"\xe4\xb8x"):
        path.write_bytes(data)
        found = []
        for opener in (open, open_text):
            with pytest.raises(UnicodeDecodeError) as caught, opener(path, encoding="utf-8") as file:
                file.read()
            found.append((str(caught.value), caught.value.start, caught.value.end, type(caught.value).__name__))
        assert found[0] == found[1]


def test_the_rest_of_a_file_is_opens_own(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("one\ntwo\nthree\n" * 9)
    for use in (
        lambda f: [f.read(5), f.read(), f.readline()],
        lambda f: [next(f), f.readline(), f.readlines()],
        lambda f: list(f),
        lambda f: [f.seek(0, 2), f.tell(), f.read(), f.seek(0), str(f.read()), f.tell(), f.read(3), f.read()],
        lambda f: [str(f.read(None)), f.readable(), f.closed],
        lambda f: [next(f), f.read()],
        lambda f: [f.close(), f.read()],
    ):
        found = []
        for opener in (open, open_text):
            with opener(path) as file:
                found.append(result(use, file))
        assert found[0] == found[1]
    with open_text(path, "rb") as file:
        assert isinstance(file.read(), bytes)
    with open_text(tmp_path / "new", "w") as file:
        file.write("x")
    assert read_text(tmp_path / "new") == (tmp_path / "new").read_text()
    with pytest.raises(FileNotFoundError, match="No such file or directory: 'nowhere'"):
        open_text("nowhere")
    with open_text(os.open(path, os.O_RDONLY)) as file:
        assert file.read() == path.read_text()


def test_a_pipe_is_read_as_it_comes() -> None:
    end, start = os.pipe()
    os.write(start, "é\r\n".encode())
    os.close(start)
    with open_text(end, encoding="utf-8") as file:
        assert file.read() == "é\n"


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("word " * 30)
    found = read_text(path)
    assert found == "word " * 30
    os.utime(path, ns=(1, 1))
    for use in (str, list, lambda t: t[50:90], lambda t: "x" in t):
        with pytest.raises(RuntimeError, match="was changed after memguard had begun to read it"):
            use(found)


def test_a_removed_file_is_still_there(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("word " * 30)
    found = read_text(path)
    path.unlink()
    assert found == "word " * 30


def test_what_a_str_does_and_it_does_not_names_the_fix(tmp_path: Path) -> None:
    ours = lazy("some text " * 9, tmp_path)
    refused = [
        lambda t: t + "a",
        lambda t: "a" + t,
        lambda t: t * 2,
        lambda t: t % (),
        lambda t: t < "a",
        lambda t: t[::-1],
        lambda t: t[::2],
        lambda t: t.split("a", 1),
        lambda t: np.array(t),
        lambda t: np.array([t]),
    ]
    names = [name for name in dir(str) if not name.startswith("__") and not hasattr(LazyText, name)]
    assert {"replace", "lower", "translate", "join", "partition", "rfind"} <= set(names)
    refused += [lambda t, name=name: getattr(t, name) for name in names]
    for use in refused:
        with pytest.raises((TypeError, AttributeError), match=r"str\(text\)"):
            use(ours)
    for use in (hash, json.dumps, lambda t: {t: 1}, lambda t: "".join([t]), lambda t: (tmp_path / "x").write_text(t)):
        with pytest.raises(TypeError):
            use(ours)
    pieces = ours.split()
    for use in (
        lambda x: x.sort(),
        lambda x: x.append(""),
        lambda x: random.shuffle(x),
        lambda x: x + [],
        lambda x: [] + x,
        lambda x: x * 2,
        lambda x: x < [],
        lambda x: x.__delitem__(0),
    ):
        with pytest.raises((TypeError, AttributeError), match=r"list\(x\)"):
            use(pieces)
    with pytest.raises(TypeError):
        hash(pieces)


def test_a_text_that_does_not_fit_is_not_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = lazy("some text " * 9, tmp_path)
    monkeypatch.setattr(text, "read_headroom", lambda: 100)
    with pytest.raises(MemoryError, match="the whole text takes 180 B of memory, and 100 B is left"):
        str(ours)
    assert ours[5:9] == "text"
