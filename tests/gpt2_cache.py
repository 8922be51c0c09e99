"""The bundled GPT-2 files where plain tiktoken looks for them, for scripts that run without memguard."""

from __future__ import annotations

import hashlib
from pathlib import Path

from memguard.inject import gpt2_files

__all__ = ["GPT2_URLS", "fill_cache"]

_HOST = "https://openaipublic.blob.core.windows.net/"
GPT2_URLS = tuple(
    _HOST + name
    for name in ("gpt-2/encodings/main/vocab.bpe", "gpt-2/encodings/main/encoder.json", "encodings/r50k_base.tiktoken")
)


def fill_cache(directory: Path) -> None:
    """Makes `directory` a TIKTOKEN_CACHE_DIR with what tiktoken's `gpt2` and `r50k_base` ask for."""
    for url in GPT2_URLS:
        data = gpt2_files.contents(url)
        assert data is not None, f"a Python without lzma has no {url}"
        (directory / hashlib.sha1(url.encode()).hexdigest()).write_bytes(data)
