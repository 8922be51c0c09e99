"""Which open files are inputs: by name, by what the tree does with them, and in a real process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memguard.system.proc import read_process
from memguard.watch.measure.inputs import SMALLEST, InputFiles, is_data

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")


@pytest.mark.parametrize(
    "path",
    [
        "/home/ann/train.txt",
        "/home/ann/corpus/00.jsonl.gz",
        "/data/fineweb/000_00000.parquet",
        "/library/texts/all.txt",
        "/run/media/ann/disk/wiki.xml.bz2",
        "/home/ann/.cache/huggingface/hub/datasets--wiki/blobs/" + "0" * 40,
        "/home/ann/.cache/huggingface/datasets/wiki/0.0.0/train.arrow",
        "/usr/share/dict/words",
        "/home/ann/python.txt",
        "/home/ann/dump.zip",
    ],
)
def test_data(path: str) -> None:
    assert is_data(path)


@pytest.mark.parametrize(
    "path",
    [
        "/usr/lib/python3.11/pydoc_data/topics.py",
        "/home/ann/.pyenv/versions/3.12.1/lib/python3.12/pydoc_data/topics.txt",
        "/usr/lib/python311.zip",
        "/home/ann/venv/lib64/python3.12/lib-dynload/words.txt",
        "/home/ann/venv/lib/python3.11/site-packages/nltk/words.txt",
        "/opt/app/site-packages/certifi/cacert.pem",
        "/tmp/data-gym-cache/9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "/home/ann/vocab/6d1cbeee0f20b3d9449abfede4726ed8212e3aee",
        "/home/ann/.cache/huggingface/hub/models--gpt2/blobs/" + "a" * 64,
        "/home/ann/gpt2/tokenizer.json",
        "/home/ann/m.model",
        "/home/ann/repo/.git/objects/pack/pack-1.pack",
        "/usr/lib/x86_64-linux-gnu/libopenblas.so.0",
        "/usr/share/fonts/truetype/DejaVuSans.ttf",
        "/home/ann/Inter.otf",
        "/usr/share/misc/magic.mgc",
        "/usr/share/zoneinfo/tzdata.zi",
        "/home/ann/state.sqlite3",
        "/home/ann/state.db-wal",
    ],
)
def test_no_data(path: str) -> None:
    assert not is_data(path)


SCRIPT = """
import sys, time
source, cache, written, made = sys.argv[1:]
opened = [open(source), open(cache)]
both = open(written, "r+"), open(written)
time.sleep(0.05)  # a process's start is known to 10 ms, a file's time to 4
with open(made, "w") as file: file.write("x" * 100000)
opened.append(open(made))
print("ready", flush=True)
sys.stdin.readline()
"""


def test_what_a_process_has_open(tmp_path: Path) -> None:
    folder = tmp_path / "vocab"
    folder.mkdir()
    paths = [tmp_path / "train.txt", folder / "gpt2", tmp_path / "index.txt", tmp_path / "made.txt"]
    for path in paths[:3]:
        path.write_bytes(b"x" * SMALLEST)
        os.utime(path, (time.time() - 10, time.time() - 10))
    env = {**os.environ, "TIKTOKEN_CACHE_DIR": str(folder)}
    command = [sys.executable, "-c", SCRIPT, *map(str, paths)]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        found = read_process(process.pid)
        assert found is not None
        inputs = InputFiles(str(tmp_path / "run"))
        assert inputs.look([found])
        assert inputs.sizes == {str(paths[0]): SMALLEST}
        assert not inputs.look([found])
        nothing = InputFiles(str(tmp_path))
        assert not nothing.look([found]) and not nothing.sizes, "the run's own files"
        process.kill()


def test_a_file_that_is_written_later_is_no_input_any_more(tmp_path: Path) -> None:
    path = tmp_path / "state.txt"
    path.write_bytes(b"x" * SMALLEST)
    os.utime(path, (time.time() - 10, time.time() - 10))
    code = "import sys\na = open(sys.argv[1])\nfor n in 1, 2:\n print(n, flush=True)\n input()\n b = open(a.name, 'r+')"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        found = read_process(process.pid)
        assert found is not None
        inputs = InputFiles("/nowhere")
        assert inputs.look([found]) and list(inputs.sizes) == [str(path)]
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        assert inputs.look([found]) and not inputs.sizes
        process.kill()
