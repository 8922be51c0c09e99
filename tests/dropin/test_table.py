"""The tables of docs/dropin.md, expression by expression, against list and str."""

from __future__ import annotations

import array
import collections
import copy
import io
import json
import pickle
import random
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memguard import TextList, TokenBuffer, TokenBuffers, read_text
from memguard.dropin import text

PAGE = Path(__file__).resolve().parents[2] / "docs/dropin.md"
NAMES = {module.__name__: module for module in (array, collections, copy, io, json, pickle, random, re, struct)}
TOKENS = [5, 6, 7, 5, 200, 1, 9]
TEXTS = ["b", "", "thïrd 中 😀", "a", "b", "\ud800"]
TEXT = "a word, another word\n\nthe thïrd 中 😀 line \n"


def rows(heading: str) -> list[tuple[str, str]]:
    """(expression, what the table says) of the table under a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [(code, line[-1].strip()) for line in lines for code in re.findall(r"`([^`]+)`", line[0])]


def run(code: str, x: Any) -> Any:
    """What it gives, and x afterwards; or the exception."""
    names = {**NAMES, "np": np, "x": x}
    try:
        compiled = compile(code, "table", "eval")
    except SyntaxError:
        compiled = compile(code, "table", "exec")
    random.seed(1)
    try:
        return plain(eval(compiled, names)), plain(names["x"])
    except Exception as error:
        return error


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist(), value.dtype.str
    if type(value).__name__ in ("LazyText",):
        return str(value)
    if isinstance(value, TokenBuffer) or type(value).__name__ in (
        "Pieces",
        "list_reverseiterator",
        "chain",
        "generator",
    ):
        return list(value)
    if isinstance(value, (TokenBuffers, TextList, list)):
        return [plain(item) for item in value]
    return value


def make_text(directory: Path) -> Any:
    (directory / "text").write_text(TEXT, encoding="utf-8")
    return read_text(directory / "text", encoding="utf-8")


KINDS: list[tuple[str, Callable[[Path], Any], Callable[[], Any], type]] = [
    ("TokenBuffer", lambda _: TokenBuffer(TOKENS), lambda: list(TOKENS), list),
    ("TokenBuffers", lambda _: TokenBuffers([[5, 6], [], [7]]), lambda: [[5, 6], [], [7]], list),
    ("TextList", lambda _: TextList(TEXTS), lambda: list(TEXTS), list),
    ("LazyText", make_text, lambda: TEXT, str),
]


@pytest.mark.parametrize(
    ("heading", "ours", "theirs", "_"), KINDS, ids=lambda kind: kind if isinstance(kind, str) else ""
)
def test_every_line_of_the_table(
    heading: str, ours: Any, theirs: Any, _: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "SHORT", 3)
    found = rows(heading)
    assert len(found) > 20
    for code, said in found:
        left, right = run(code, ours(tmp_path)), run(code, theirs())
        if said.startswith("same"):
            if isinstance(right, Exception):
                assert type(left) is type(right), code
                assert str(left).replace("TokenBuffer", "list").replace("TextList", "list") == str(right), code
            else:
                assert left == right, code
            continue
        kind = said.split()[0].rstrip(":")
        assert type(left).__name__ == kind, (code, left)
        if "Python's own" not in said and "json module" not in said:
            assert re.search(r"list\(x\)|keep a list|int\(\)|str\(text\)", str(left)), (code, left)


@pytest.mark.parametrize(("heading", "kind"), [(heading, kind) for heading, _, _, kind in KINDS])
def test_every_method_is_in_the_table(heading: str, kind: type) -> None:
    codes = " ".join(code for code, _ in rows(heading))
    missing = [name for name in dir(kind) if not name.startswith("_") and f"x.{name}(" not in codes]
    assert missing == []


def test_the_names_load_nothing_heavy() -> None:
    heavy = {"numpy", "tiktoken", "gigatoken", "subprocess", "logging", "ctypes", "pathlib", "tempfile", "psutil"}
    names = ["TokenBuffer", "TokenBuffers", "open_text", "read_text", "get_encoding", "encoding_for_model"]
    code = f"import memguard, sys; {'; '.join(f'memguard.{name}' for name in names)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=PAGE.parents[1]
    )
    assert not heavy & set(loaded.stdout.split())
