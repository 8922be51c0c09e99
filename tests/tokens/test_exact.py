"""The tokens of a whole job against tiktoken's, one by one.

The slow test takes real text: MEMGUARD_TEST_TEXT names a file of English, MEMGUARD_TEST_TEXT_MULTI one in many
languages; without them, what ships with Python is repeated, with words that are new each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memguard.tokens import pipeline
from memguard.tokens.engine.encode import load_encoding, make_engine
from memguard.tokens.job import encoded_blocks, tokenize
from memguard.tokens.options import Options
from memguard.tokens.pipeline import Resources
from tests.tokens.test_split import NASTY

# What patterns trip over, in a row: every one of NASTY, and what may stand around a cut.
SMALL = (
    "".join(f"{piece} I'll {piece}12 " for piece in NASTY)
    + "<|endoftext|> don’t\r\n\r\n  字字，字\u3000字 ’twas 3.14  \n"
)


def tokens(path: Path, block: int, workers: int, engine: str) -> list[int]:
    found: list[int] = []
    options = Options(val_fraction=0.0)
    for _, encoded in encoded_blocks([path], options, Resources(engine, workers, block=block)):
        for _, ids, _ in encoded.parts:
            found += ids.tolist()
    return found


@pytest.mark.parametrize(("engine", "workers"), [("gigatoken", 1), ("tiktoken", 2)])
def test_every_size_of_block_from_one_byte_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, workers: int
) -> None:
    """Up to 64 bytes all of them, then in larger steps, then more than the text has."""
    path = tmp_path / "text.txt"
    path.write_bytes(SMALL.encode())
    expected = load_encoding("gpt2").encode_ordinary(SMALL)
    made = make_engine("gpt2", engine)  # once: a new one for each size takes more time than all the rest
    monkeypatch.setattr(pipeline, "make_engine", lambda *_, **__: made)
    for block in (*range(1, 65), *range(71, 1000, 97), len(SMALL.encode()) + 1):
        assert tokens(path, block, workers, engine) == expected, block


def real_text(name: str, directory: Path, english: str) -> Path:
    given = os.environ.get(name)
    if given:
        return Path(given)
    path = directory / "text.txt"
    letters = "字" if name.endswith("MULTI") else "x"
    with path.open("w", encoding="utf-8") as file:
        for number in range(40):
            file.write(english.replace("the ", f"th{letters}{number} "))
    return path


def expected_ids(path: Path) -> Iterator[list[int]]:
    """tiktoken's own, in stretches that end with a full stop before a space: every piece ends there, whatever comes."""
    encoding = load_encoding("gpt2")
    with path.open(encoding="utf-8", newline="") as file:
        rest = ""
        while more := file.read(1 << 20):
            text = rest + more
            cut = text.rfind(". ") + 1
            if not cut:
                rest = text
                continue
            yield encoding.encode_ordinary(text[:cut])
            rest = text[cut:]
        yield encoding.encode_ordinary(rest)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MEMGUARD_TEST_TEXT", "MEMGUARD_TEST_TEXT_MULTI"])
def test_a_real_text_token_by_token(tmp_path: Path, english: str, name: str) -> None:
    path = real_text(name, tmp_path, english)
    jobs = []
    for workers in (1, 2, 3, 4):
        manifest = tokenize([path], tmp_path / str(workers), workers=workers, max_memory=400 << 20)
        jobs.append((manifest.shards, tmp_path / str(workers)))
    assert all(shards == jobs[0][0] for shards, _ in jobs)
    written = np.concatenate([np.fromfile(jobs[0][1] / f"{split}.bin", np.uint16) for split in ("train", "val")])
    position = 0
    for ids in expected_ids(path):
        expected = np.array(ids, np.uint16)
        found = written[position : position + expected.size]
        assert np.array_equal(found, expected), f"in the {expected.size} tokens from {position} on"
        position += expected.size
    assert position == written.size
