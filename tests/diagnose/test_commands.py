from __future__ import annotations

import pytest

from memguard.diagnose.commands import CommandReader, split_command
from memguard.diagnose.lines import parse_line


def read(*lines: str) -> CommandReader:
    reader = CommandReader()
    for line in lines:
        reader.feed(parse_line(line))
    return reader


@pytest.mark.parametrize(
    ("prompt", "command"),
    [
        ("$ python prepare.py", "python prepare.py"),
        ("ada@lab:~/prep$ python3.11 -u prepare.py train.txt", "python3.11 -u prepare.py train.txt"),
        ("(env) root@box:/srv# OMP_NUM_THREADS=1 nohup python a.py", "OMP_NUM_THREADS=1 nohup python a.py"),
        ("ada@mac prep % uv run python prepare.py", "uv run python prepare.py"),
        ("❯ /opt/py/bin/python prepare.py", "/opt/py/bin/python prepare.py"),
        ("➜  prep python prepare.py", "python prepare.py"),
        ("$ ./prepare.py train.txt", "./prepare.py train.txt"),
    ],
)
def test_what_was_typed_at_a_prompt(prompt: str, command: str) -> None:
    assert read(prompt).command == command


@pytest.mark.parametrize("line", ["python prepare.py", "$ ls -l", "cost: $ 5", "[1.5] $ python x.py", "# a heading"])
def test_what_was_not(line: str) -> None:
    assert read(line).command is None


def test_the_innermost_line_of_the_users_own() -> None:
    reader = read(
        "Traceback (most recent call last):",
        '  File "/home/ada/prepare.py", line 9, in <module>',
        '  File "/home/ada/helpers.py", line 4, in encode',
        '  File "/usr/lib/python3/dist-packages/tiktoken/core.py", line 120, in encode',
    )
    assert reader.place == "/home/ada/helpers.py:4"
    reader.feed(parse_line("Traceback (most recent call last):"))
    assert reader.place is None


def test_what_systemd_started_in_a_unit() -> None:
    reader = read("Feb 02 12:00:00 lab systemd[1]: Started run-u1.scope - /usr/bin/python3 prepare.py train.txt.")
    assert reader.of_unit("/system.slice/run-u1.scope") == "/usr/bin/python3 prepare.py train.txt"
    assert reader.of_unit("/system.slice/other.scope") is None and reader.of_unit(None) is None


@pytest.mark.parametrize(
    ("command", "script", "inputs"),
    [
        ("python prepare.py", "prepare.py", ()),
        ("python3 -u a/prepare.py train.txt --out=ids.bin -v", "a/prepare.py", ("train.txt", "ids.bin")),
        ("torchrun --nproc 2 prepare.py data.jsonl.gz data.jsonl.gz", "prepare.py", ("data.jsonl.gz",)),
        ("python prepare.py 'it is.txt'", "prepare.py", ("it is.txt",)),
        ("python prepare.py it's.txt", "prepare.py", ("it's.txt",)),
        ("python -m datatrove.run shard.parquet", None, ("shard.parquet",)),
        ("", None, ()),
    ],
)
def test_script_and_inputs_of_a_command(command: str, script: str | None, inputs: tuple[str, ...]) -> None:
    assert split_command(command) == (script, inputs)
