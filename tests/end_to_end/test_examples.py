"""The streaming twin writes what the naive script writes, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def prepare(script: str, text: Path, output: Path, vocabulary: str) -> tuple[bytes, bytes]:
    subprocess.run(
        [sys.executable, str(EXAMPLES / script), str(text), str(output)],
        check=True,
        capture_output=True,
        env={**os.environ, "TIKTOKEN_CACHE_DIR": vocabulary},
    )
    return (output / "train.bin").read_bytes(), (output / "val.bin").read_bytes()


TEXTS = {
    "english": None,
    "newlines": "a\r\nb\rc\n\n d  e\t f " * 9000,
    "chinese": "他说：今天天气很好，我们去公园吧。" * 4000 + " the end. " * 2000,
    "emoji and spaces": ("x" * 70 + "     😀 \u00a0 's 1234 ") * 3000,
    "no cut": "a" * 30_000,
    "tiny": "Hi",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if n % 2 else []) for n, name in enumerate(TEXTS)]
)
def test_the_twin_writes_the_same_bytes(name: str, english: str, tmp_path: Path, vocabulary: str) -> None:
    text = tmp_path / "train.txt"
    text.write_bytes((TEXTS[name] or english * 5).encode())
    naive = prepare("prepare.py", text, tmp_path / "naive", vocabulary)
    assert naive == prepare("prepare_streaming.py", text, tmp_path / "streaming", vocabulary)
    assert len(naive[0]) > 0
