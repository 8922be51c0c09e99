"""The whole story in a minute: estimate, a guarded abort, a script that writes out in time, and the streaming job.

Works in a temporary directory with real English text that ships with Python (the help topics of pydoc, repeated
to size), inside a small memory limit. Needs no network and no special rights. Every step is an ordinary memguard
command, shown before it runs.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

from memguard.cli.output import use_color, write_text
from memguard.errors import ConfigError, InputError, MemguardError
from memguard.units import MIB, format_duration, format_size, parse_size

__all__ = ["add_arguments", "main"]

SMALLEST_LIMIT = 300 * MIB  # below it the tokenizer's own budget (256 MiB) would not fit
SIZES_PER_LIMIT = 10  # prepare.py needs about 11 times this text's size, and 56 MiB for its imports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", default="40MB", help="size of the text (default: %(default)s)")
    parser.add_argument("--limit", default="320MiB", help="memory the script may use (default: %(default)s)")
    parser.add_argument("--keep", metavar="DIR", help="work in DIR, a new directory, and leave everything there")


def main(arguments: argparse.Namespace) -> int:
    size, limit = parse_size(arguments.size), parse_size(arguments.limit)
    if limit < SMALLEST_LIMIT:
        raise ConfigError(
            f"--limit {arguments.limit} is too small for the demo",
            f"take at least {format_size(SMALLEST_LIMIT)}",
        )
    if size * SIZES_PER_LIMIT < limit:
        raise ConfigError(
            f"--size {arguments.size} is too small to tell the story: prepare.py would fit into {arguments.limit}",
            f"take at least {format_size(limit / SIZES_PER_LIMIT)}",
        )
    directory = _new_directory(arguments.keep)
    try:
        return _play(directory, size, arguments.limit)
    finally:
        if not arguments.keep:
            shutil.rmtree(directory, ignore_errors=True)


def _new_directory(keep: str | None) -> str:
    if keep is None:
        return tempfile.mkdtemp(prefix="memguard-demo-")
    try:
        os.makedirs(keep)
    except FileExistsError:
        raise ConfigError(f"--keep {keep}: it exists already", "name a directory that does not exist") from None
    except OSError as error:
        raise InputError(f"--keep {keep}: cannot be made: {error.strerror}", path=keep) from None
    return keep


def _play(directory: str, size: int, limit: str) -> int:
    started = time.monotonic()
    try:
        _write_text(os.path.join(directory, "train.txt"), size)
        for name in ("prepare.py", "prepare_flush.py"):
            shutil.copy(_example(name), directory)
    except OSError as error:
        raise InputError(f"{directory}: cannot be written: {error.strerror}", path=directory) from None
    _say(f"A script that most people start with, prepare.py, and {format_size(size)} of English text, train.txt.")
    _say(f"The script may use {limit} of memory. Will it do?")

    _step("1. Before: what would it need?", directory, ["estimate", "train.txt", "--limit", limit], expect=0)
    guarded = ["run", "--limit", limit]
    _step(
        "2. During: run it all the same, under the guard",
        directory,
        [*guarded, "prepare.py", "train.txt", "naive"],
        expect=75,
    )
    _say("A script that fills a list may write it out in time: it says what to call, and where (prepare_flush.py).")
    _say("    @memguard.on_pressure               memguard.checkpoint()")
    _say("    def flush(): …                      at the top of the loop that fills the list")
    _step(
        "3. Or: two lines more, and it writes out what it holds before memory runs short",
        directory,
        [*guarded, "prepare_flush.py", "train.txt", "shards"],
        expect=0,
    )
    tokenize = ["tokenize", "train.txt", "-o", "data"]
    _step(
        "4. Instead: stream it, under the same guard and limit",
        directory,
        [*guarded, "--", "memguard", *tokenize],
        expect=0,
    )
    tokens = _verify(directory)
    _heading("Done")
    _say(
        f"{tokens:,} tokens in data/train.bin and data/val.bin; decoded, they are train.txt byte for byte. "
        f"The whole demo took {format_duration(time.monotonic() - started)}."
    )
    _say("Now yours:  memguard estimate YOUR.txt   ·   memguard run YOUR.py   ·   memguard tokenize YOUR.txt -o data")
    return 0


def _write_text(path: str, size: int) -> None:
    """`size` bytes of pydoc's help topics, each copy under its own number."""
    import pydoc_data.topics

    topics = [pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics)]
    written = copy = 0
    with open(path, "w", encoding="utf-8") as file:
        while written < size:
            copy += 1
            for topic in topics:
                written += file.write(f"Copy {copy}\n\n{topic}\n\n")
                if written >= size:
                    return


def _example(name: str) -> str:
    """examples/NAME: inside an installed package, beside it in a source tree."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for place in (package, os.path.dirname(package)):
        path = os.path.join(place, "examples", name)
        if os.path.exists(path):
            return path
    raise MemguardError(f"examples/{name} is missing from this installation", "reinstall memguard-prep")


def _step(title: str, directory: str, command: list[str], *, expect: int) -> None:
    """Shows `command` as a user would type it, runs it with this very memguard, and checks its exit code."""
    _heading(title)
    shown = f"$ memguard {shlex.join(command)}"
    write_text(f"\x1b[1m{shown}\x1b[0m" if use_color(sys.stdout) else shown)
    sys.stdout.flush()
    result = subprocess.run(_real_command(command), cwd=directory)
    if result.returncode != expect:
        raise MemguardError(
            f"this step ended with exit code {result.returncode} instead of {expect}",
            "`memguard doctor` shows what this machine lets memguard do",
        )
    _say(f"exit code {result.returncode}")


def _real_command(command: list[str]) -> list[str]:
    """`command` with `memguard` as this interpreter runs it: prepare.py needs numpy and tiktoken, which are here."""
    this = [sys.executable, "-m", "memguard"]
    if "--" in command:
        end = command.index("--") + 1
        assert command[end] == "memguard"
        return [*this, *command[:end], *this, *command[end + 1 :]]
    if command[0] == "run":
        return [*this, "run", "--python", sys.executable, *command[1:]]
    return [*this, *command]


def _verify(directory: str) -> int:
    """Decodes both splits in a stream and compares with the text; returns the number of tokens."""
    import numpy as np

    from memguard.tokens.engine.encode import load_encoding

    encoding = load_encoding("gpt2")
    tokens = 0
    with open(os.path.join(directory, "train.txt"), "rb") as text:
        for name in ("train.bin", "val.bin"):
            ids = np.memmap(os.path.join(directory, "data", name), dtype="<u2", mode="r")
            for start in range(0, len(ids), 1 << 18):
                decoded = encoding.decode_bytes(ids[start : start + (1 << 18)].tolist())
                if text.read(len(decoded)) != decoded:
                    raise MemguardError(f"data/{name} does not decode to train.txt near token {start:,}")
            tokens += len(ids)
        if text.read(1):
            raise MemguardError("data/train.bin and data/val.bin end before train.txt does")
    return tokens


def _heading(title: str) -> None:
    write_text(f"\n\x1b[1;36m{title}\x1b[0m" if use_color(sys.stdout) else f"\n{title}\n{'-' * len(title)}")


def _say(text: str) -> None:
    import textwrap

    write_text(textwrap.fill(text, width=100, break_long_words=False, break_on_hyphens=False))
    sys.stdout.flush()
