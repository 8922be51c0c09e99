"""Directories that `memguard tokenize` wrote, for the commands that read them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from memguard.cli.main import main


@pytest.fixture(scope="session")
def tokenized(tmp_path_factory: pytest.TempPathFactory, english: str) -> Path:
    """a.txt and b.txt, and what the tokenizer made of them in a/ and b/; made once."""
    directory = tmp_path_factory.mktemp("tokenized")
    (directory / "a.txt").write_text(english[:60_000] + "é的🙂")
    (directory / "b.txt").write_text(english[60_000:100_000])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        for name in ("a", "b"):
            assert main(["tokenize", f"{name}.txt", "-o", name, "-q"]) == 0
    return directory


@pytest.fixture
def workspace(tmp_path: Path, tokenized: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "workspace"
    shutil.copytree(tokenized, directory)
    monkeypatch.chdir(directory)
    return directory
