"""Every row of the registry: one string in, one line out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from memguard.script import registry
from memguard.script.interface import Call
from tests.script.outcome import outcome

T = TypeVar("T")
ROWS = Path(__file__).with_name("rows.txt")

# How to get at an owner of each kind; the others have no methods that keep nothing.
OWNERS = {
    "text": "text",
    "bytes": "data",
    "ids": "ids",
    "strings": "lines",
    "words": "words",
    "lists": "lists",
    "arrays": "arrays",
    "records": "docs",
    "objects": "[i for i in range(len(lines))]",
    "array": "array",
    "mapped": "mapped",
    "view": "array[1:]",
    "File": "open('a')",
    "pandas.str": "frame['text'].str",
    "Path": "pathlib.Path('a')",
    "Constant": "'a'",
    "Sequence": "{}",
    "tiktoken": "enc",
    "tokenizers": "tok",
    "transformers": "hf",
    "sentencepiece": "sp",
    "spacy": "nlp",
    "encoding": "tok.encode(text)",
    "doc": "nlp(text)",
    "Row": "frame",
    "dataset": "dataset",
    "Pool": "multiprocessing.Pool(2)",
    "parser": "argparse.ArgumentParser()",
    "namespace": "argparse.ArgumentParser().parse_args()",
    "app": "typer.Typer()",
    "settings": "transformers.HfArgumentParser(Box)",
    "stack": "contextlib.ExitStack()",
    "jsonlines.Reader": "jsonlines.open('a')",
    "requests.Response": "requests.get('u', stream=True)",
    "duckdb.Relation": "duckdb.read_parquet('a')",
    "duckdb.Connection": "duckdb.connect()",
    "lazy": "memguard.read_text('a')",
    "lazies": "memguard.TextList(lines)",
    "packed": "memguard.TokenBuffer(ids)",
    "packs": "memguard.TokenBuffers(lists)",
    "memguard": "memguard.get_encoding('gpt2')",
}
# Kinds that no expression gives at once; their methods are those of lists and arrays.
WITHOUT = {"ints", "chars", "table", "list", "opaque", "token", "Number", "char"}


def _sections() -> dict[str, list[tuple[str, str, str]]]:
    found: dict[str, list[tuple[str, str, str]]] = {}
    for line in ROWS.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            rows = found.setdefault(line[3:], [])
        elif line and not line.startswith("#"):
            call, _, expected = line.rpartition(" -> ")
            expression, _, then = call.partition("; ")
            rows.append((expression, then, expected))
    return found


SECTIONS = _sections()


@pytest.mark.parametrize("library", SECTIONS)
def test_what_a_call_leaves(library: str) -> None:
    wrong = []
    for expression, then, expected in SECTIONS[library]:
        found = outcome(expression, then)
        if found != expected:
            wrong.append(f"{expression}; {then}: {found}, not {expected}")
    assert not wrong


def test_every_model_that_keeps_something_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[int] = set()
    run = registry._run

    def noting(call: Call, model: registry.Model | None) -> object:
        if model is not None:
            used.add(id(model.run))
        return run(call, model)

    monkeypatch.setattr(registry, "_run", noting)
    for rows in SECTIONS.values():
        for some in batched(rows, 20):
            outcome("0", before="".join(f"y = {expression}\n{then}\n" for expression, then, _ in some))
    keeping = [(name, model) for _, name, model in registry.rows() if not model.reason]
    missing = {model.run.__name__: name for name, model in keeping if id(model.run) not in used}
    assert not missing


def test_what_keeps_nothing_keeps_nothing_and_lists_nothing() -> None:
    """Whatever it gets: a list of all the ids, a text, an object that holds lines."""
    calls: dict[str, str] = {}  # and the import that each needs
    for owner, pattern, model in registry.rows():
        if model.run.__qualname__.split(".")[0] != "nothing" or owner in WITHOUT:
            continue
        if owner == "" and pattern.startswith("builtins.*"):
            continue  # exceptions
        name = pattern.replace("*", "any_name").removeprefix("builtins.")
        called = f"{OWNERS[owner]}.{name}" if owner else name
        root = f"import {called.partition('.')[0].removesuffix('()')}\n" if not owner and "." in called else ""
        calls[f"{called}([ids], text, key=Box(lines))"] = root
    assert len(calls) > 400
    wrong = []
    for some in batched(calls, 50):
        if outcome(f"({', '.join(some)})", before="".join({calls[call]: None for call in some})) == "-":
            continue
        for call in some:  # which of them it is
            found = outcome(call, before=calls[call])
            if found != ("- ?" if call.startswith(OWNERS["requests.Response"]) else "-"):
                wrong.append(f"{call}: {found}")
    assert not wrong


def batched(calls: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(calls)
    while some := list(itertools.islice(rest, size)):
        yield some


def test_a_model_says_why_it_keeps_nothing() -> None:
    for make in (registry.nothing, registry.gives):
        with pytest.raises(ValueError, match="says why"):
            make(" ")
    assert all(len(model.reason) > 4 for _, _, model in registry.rows() if model.reason)
