"""Scripts in as many styles as people have: each must get the name of its plan, and its sizes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from memguard.script.read import read_script
from tests.estimate.script_texts import read, unread_lines, uses_of

SCRIPTS = Path(__file__).parent.parent / "programs" / "scripts"

PLANS = {
    "array_module": "chunked-list",
    "arrays_concatenate": "chunked-list",
    "batched_documents": "stream",
    "char_level": "char-list",
    "click_paragraphs": "line-list",
    "counter_shards": "sharded-list",
    "defaultdict_splits": "chunked-list",
    "executor_chunks": "pool-files",
    "sink_with_limit": "sharded-list",
    "text_concatenation": "int64-list",
    "chunked_while": "chunked-list",
    "class_sharded": "sharded-list",
    "encode_batch_lines": "line-list",
    "from_dict_map": "from-dict-map",
    "functions_argparse": "read-all",
    "generator_stream": "stream",
    "global_flush_tofile": "sharded-list",
    "hf_map": "datasets-map",
    "int64_then_astype": "int64-list",
    "jsonl_comprehension": "jsonl-list",
    "jsonl_texts": "jsonl-list",
    "list_of_lists": "chunked-list",
    "many_files_list": "chunked-list",
    "memmap_two_pass": "stream",
    "nanogpt_shakespeare": "read-all",
    "nested_functions": "chunked-list",
    "np_append": "chunked-list",
    "one_liner": "read-all",
    "pandas_parquet": "parquet-list",
    "parquet_batches": "iter-batches",
    "pool_prealloc_shard": "pool-shard",
    "pool_whole_files": "pool-files",
    "read_then_slices": "read-all",
    "readlines_batch": "line-list",
    "torch_tensor": "read-all",
    "unknown_helper": "chunked-list",
    "walrus_pathlib": "chunked-list",
}

PARAMETERS = {
    "chunked_while": {"chunk": "1000000 chars", "container": "list", "dtype": "16 bits"},
    "class_sharded": {"chunk": "1048576 chars", "shard": "2000000 tokens"},
    "global_flush_tofile": {"shard": "1000000 tokens"},
    "counter_shards": {"shard": "1000000 tokens"},
    "sink_with_limit": {"shard": "5000000 tokens"},
    "list_of_lists": {"container": "list of lists"},
    "arrays_concatenate": {"container": "list of arrays"},
    "array_module": {"container": "array.array", "chunk": "1048576 chars"},
    "np_append": {"container": "np.append"},
    "nanogpt_shakespeare": {"val_fraction": "0.1"},
    "nested_functions": {"chunk": "250000 bytes"},
    "pool_whole_files": {"workers": "2"},
    "pool_prealloc_shard": {"workers": "2", "shard": "2000000 tokens"},
    "hf_map": {"workers": "2"},
    "parquet_batches": {"batch": "1024"},
}


def plan_of(name: str):  # type: ignore[no-untyped-def]
    path = SCRIPTS / f"{name}.py"
    return read_script(path.read_text(encoding="utf-8"), str(path))


def test_every_script_is_in_the_table() -> None:
    assert {path.stem for path in SCRIPTS.glob("*.py")} == set(PLANS)


@pytest.mark.parametrize("name", PLANS)
def test_the_right_plan(name: str) -> None:
    assert plan_of(name).name == PLANS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_its_sizes(name: str) -> None:
    found = plan_of(name).parameters
    assert {key: found.get(key) for key in PARAMETERS[name]} == PARAMETERS[name]


@pytest.mark.parametrize("name", PLANS)
def test_only_what_nobody_can_read_is_listed(name: str) -> None:
    assert unread_lines(plan_of(name)) == ([9] if name == "unknown_helper" else [])


def test_inputs_that_a_script_names_itself() -> None:
    assert plan_of("functions_argparse").inputs == ("corpus.txt",)
    assert plan_of("nanogpt_shakespeare").inputs == (str(SCRIPTS / "input.txt"),)
    assert plan_of("chunked_while").inputs == ()  # sys.argv[1]


def test_the_encoding_that_a_script_names_itself() -> None:
    source = """
        import tiktoken
        NAME = "cl100k_base"
        enc = tiktoken.get_encoding(NAME)
        ids = enc.encode(open("a.txt").read())
    """
    assert read(source).encoding == "cl100k_base"
    assert read("import os").encoding == "gpt2"


def test_two_inputs_are_told_apart() -> None:
    source = """
        import sys
        train, val = open(sys.argv[1]).read(), open(sys.argv[2]).read()
    """
    assert read(source).sources == ("argv[1]", "argv[2]")


def test_positions_of_every_use() -> None:
    """Enough for a rewrite: each use of each name that holds text or tokens, by line and column."""
    source = (SCRIPTS / "chunked_while.py").read_text(encoding="utf-8")
    uses = uses_of(read_script(source, "x.py"), "", "all_tokens")
    assert [(line, context) for line, _, _, context in uses] == [(8, "store"), *((n, "load") for n in (15, 16, 18))]
    lines = source.splitlines()
    assert all(lines[line - 1][col:end] == "all_tokens" for line, col, end, _ in uses)


def test_uses_follow_scopes() -> None:
    source = """
        ids = []
        class Writer:
            def __init__(self):
                self.buffer = []
            def add(self, ids):
                self.buffer.extend(ids)
        def flush():
            global ids
            ids = []
    """
    trace = read(source)
    for scope, name, lines in (("", "ids", [2, 10]), ("Writer", "self.buffer", [5, 7]), ("Writer.add", "ids", [6, 7])):
        assert [line for line, *_ in uses_of(trace, scope, name)] == lines


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_nothing_of_a_script_is_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading imports no module and opens no file."""

    def refuse(*args: object, **kwargs: object) -> object:
        raise AssertionError(f"{args} was opened")

    source = path.read_text(encoding="utf-8")
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("builtins.exec", refuse)
    assert read_script(source, str(path)).moments
    assert ast.parse(source)


@pytest.mark.parametrize(
    ("imports", "source", "name"),
    [
        ("polars as pl", 'texts = pl.read_parquet("a.parquet")["text"].to_list()', "polars-list"),
        ("pandas as pd", 'texts = pd.read_parquet("a.parquet")["text"].tolist()', "parquet-list"),
        ("duckdb", 'texts = duckdb.read_parquet("a.parquet").fetchall()', "duckdb-list"),
        (
            "transformers, datasets",
            'd = datasets.load_dataset("text").map(lambda row: {"n": 1}, batched=True)',
            "hf-map",
        ),
        ("tiktoken, datasets", 'd = datasets.load_dataset("text").map(lambda row: {"n": 1})', "datasets-map"),
    ],
)
def test_a_library_gives_its_plan_the_name(imports: str, source: str, name: str) -> None:
    assert read_script(f"import {imports}\n{source}\n", "a.py").name == name
