"""The bundled vocabulary is OpenAI's, byte for byte, and what is derived from it is what tiktoken expects."""

from __future__ import annotations

import hashlib
import importlib.resources
import inspect
import sys
from pathlib import Path

import pytest

from memguard.inject import gpt2_files
from tests.gpt2_cache import GPT2_URLS

# SHA-256 as tiktoken's own source states them.
EXPECTED = {
    "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/vocab.bpe": (
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
    ),
    "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/encoder.json": (
        "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
    ),
    "https://openaipublic.blob.core.windows.net/encodings/r50k_base.tiktoken": (
        "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
    ),
}


@pytest.mark.parametrize("url", EXPECTED)
def test_contents_hash_to_what_tiktoken_expects(url: str) -> None:
    data = gpt2_files.contents(url)
    assert data is not None
    assert hashlib.sha256(data).hexdigest() == EXPECTED[url]


def test_the_hashes_are_those_of_the_installed_tiktoken() -> None:
    from tiktoken_ext import openai_public

    source = inspect.getsource(openai_public)
    for url, digest in EXPECTED.items():
        assert url in source
        assert digest in source


@pytest.mark.parametrize("url", ["", "https://example.org/vocab.bpe", "vocab.bpe"])
def test_other_urls_are_none_of_ours(url: str) -> None:
    assert gpt2_files.contents(url) is None


def test_tiktoken_makes_the_same_ranks_of_them(tmp_path: Path) -> None:
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks

    paths = []
    for url in list(EXPECTED)[:2]:
        path = tmp_path / url.rsplit("/", 1)[1]
        path.write_bytes(gpt2_files.contents(url) or b"")
        paths.append(str(path))
    ranks = data_gym_to_mergeable_bpe_ranks(*paths)
    assert {token: rank for rank, token in enumerate(gpt2_files.merge_order())} == ranks


def test_damage_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    url = GPT2_URLS[0]
    good = gpt2_files.contents(url) or b""
    monkeypatch.setattr(gpt2_files, "_decompress", lambda name: good[:-1] + b"?")
    with pytest.raises(ValueError, match="damaged"):
        gpt2_files.contents(url)
    monkeypatch.setattr(gpt2_files, "_beside", lambda name: __file__)
    with pytest.raises(ValueError, match="damaged"):
        gpt2_files.merge_order()


def test_a_python_without_lzma_goes_on_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lzma", None)
    assert gpt2_files.contents(GPT2_URLS[0]) is None
    assert len(gpt2_files.merge_order()) == 50256


def test_the_licence_travels_with_the_files() -> None:
    directory = importlib.resources.files("memguard.inject")
    text = directory.joinpath("LICENSE.gpt2").read_text(encoding="utf-8")
    assert "Copyright (c) 2019 OpenAI" in text
    assert sum(directory.joinpath(name).stat().st_size for name in ("vocab.bpe.xz", "encoder.json.xz")) < 450_000  # type: ignore[attr-defined]
