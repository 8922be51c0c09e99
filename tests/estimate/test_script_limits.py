"""Every script fixture run for real, in a memory cgroup as small as the estimate allows: none may be killed.

`fits` is said where the high end of the band stays below the limit by a margin. Here the limit is that high end itself:
so a script that survives would also have survived wherever `memguard estimate --script` says that it fits.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.boxes import MemoryBox

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cgroup,
    pytest.mark.skipif(bool(MemoryBox.missing()), reason=MemoryBox.missing() or "-"),
]

SCRIPTS = Path(__file__).parent.parent / "programs" / "scripts"
SIZE = 8_000_000  # characters of text
SQUARE = {"text_concatenation": 1_500_000}  # text += line at module level takes the square of it in time

# Those whose second argument is a directory.
DIRECTORIES = {
    "char_level",
    "chunked_while",
    "class_sharded",
    "defaultdict_splits",
    "global_flush_tofile",
    "hf_map",
    "int64_then_astype",
    "nested_functions",
    "pool_prealloc_shard",
    "pool_whole_files",
    "readlines_batch",
    "sink_with_limit",
    "walrus_pathlib",
}
JSONL = {"batched_documents", "hf_map", "jsonl_comprehension", "jsonl_texts", "pool_prealloc_shard"}
PARQUET = {"pandas_parquet", "parquet_batches"}


def text_of(english: str, least: int) -> str:
    """Paragraphs in random order, some of them with a wider character."""
    draw = random.Random(SIZE)
    paragraphs = english.split("\n\n")
    chosen: list[str] = []
    size = 0
    while size < least:
        paragraph = draw.choice(paragraphs) + draw.choice(("", "", "", " “quoted” é", " 中文"))
        chosen.append(paragraph)
        size += len(paragraph) + 2
    return "\n\n".join(chosen)


def write_input(name: str, text: str, directory: Path) -> Path:
    if name in JSONL:
        path = directory / "input.jsonl"
        lines = (json.dumps({"text": part}) + "\n" for part in text.split("\n\n"))
        path.write_text("".join(lines), encoding="utf-8")
    elif name in PARQUET:
        pyarrow = pytest.importorskip("pyarrow")
        path = directory / "input.parquet"
        importlib.import_module("pyarrow.parquet").write_table(pyarrow.table({"text": text.split("\n\n")}), path)
    elif name == "pool_whole_files":
        path = directory / "files"
        path.mkdir()
        for index in range(4):
            part = text[len(text) * index // 4 : len(text) * (index + 1) // 4]
            (path / f"{index}.txt").write_text(part, encoding="utf-8")
    else:
        path = directory / "input.txt"
        path.write_text(text, encoding="utf-8")
    return path


def arguments_of(name: str, path: Path, output: Path) -> list[str]:
    if name == "functions_argparse":
        return ["--input", str(path), "--out-dir", str(output)]
    if name == "many_files_list":
        return [str(path), "-o", str(output / "tokens.bin")]
    if name == "nanogpt_shakespeare":  # reads input.txt beside it
        return []
    return [str(path), str(output if name in DIRECTORIES else output / "tokens.bin")]


def missing_modules(script: Path) -> list[str]:
    tree = ast.parse(script.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in names}
    return sorted(root for root in roots if root and importlib.util.find_spec(root) is None)


@pytest.mark.parametrize("name", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_what_fits_is_not_killed(name: str, tmp_path: Path, english: str, vocabulary: str) -> None:
    missing = missing_modules(SCRIPTS / f"{name}.py")
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    output = tmp_path / "out"
    output.mkdir()
    script = Path(shutil.copy(SCRIPTS / f"{name}.py", tmp_path))
    path = write_input(name, text_of(english, SQUARE.get(name, SIZE)), tmp_path)
    environment = {
        **os.environ,
        "TIKTOKEN_CACHE_DIR": vocabulary,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    command = [sys.executable, "-m", "memguard", "estimate", "--script", str(script), "--json", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    peak = json.loads(done.stdout)["script"]["plan"]["peak"]
    with MemoryBox(peak["high"]) as box:
        command = [sys.executable, str(script), *arguments_of(name, path, output)]
        result = box.run(command, env=environment)
        assert result.returncode == 0, f"{box.oom_kills} kills below {peak}: {result.stderr[-2000:]}"
        assert box.oom_kills == 0
