"""The two original files of the GPT-2 vocabulary, and the one that tiktoken has made of them, without a network.

`contents(url)` answers for the three URLs that tiktoken asks for; for any other it returns None. The files lie
beside this one; every answer is checked against the SHA-256 that tiktoken itself expects. The two originals are for
scripts that ask tiktoken for gpt2 and compressed with xz; memguard itself reads the third, which is ready for use.
Origin and licence: LICENSE.gpt2 in this directory. Standard library only, and no more of it than needed: the scripts
that `memguard run` guards import this too, on any Python that tiktoken supports.
"""

from __future__ import annotations

import os

__all__ = ["contents", "merge_order", "ranks"]

_RELEASE = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/"
_VOCAB_BPE = _RELEASE + "vocab.bpe"
_ENCODER_JSON = _RELEASE + "encoder.json"
_R50K_BASE = "https://openaipublic.blob.core.windows.net/encodings/r50k_base.tiktoken"

# As written in tiktoken_ext/openai_public.py.
_SHA256 = {
    _VOCAB_BPE: "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    _ENCODER_JSON: "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    _R50K_BASE: "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
}


def contents(url: str) -> bytes | None:
    """The file that `url` names, byte for byte; None where it is not one of the three.

    Also None on a Python that was built without lzma: the caller then goes on as if this module were not there.
    Raises OSError or ValueError when the data beside this file are gone or damaged.
    """
    if url not in _SHA256:
        return None
    if url == _R50K_BASE:
        return ranks()
    try:
        return _checked(url, _decompress(url.rsplit("/", 1)[1]))
    except ImportError:
        return None


def ranks() -> bytes:
    """The 50,256 tokens of GPT-2, `<|endoftext|>` (50256) left out: `base64(token) rank` per line, in their order.

    Raises OSError or ValueError when the file is gone or damaged.
    """
    with open(_beside("r50k_base.tiktoken"), "rb") as file:
        return _checked(_R50K_BASE, file.read())


def merge_order() -> list[bytes]:
    """The same as a list of tokens in the order of their ids."""
    from binascii import a2b_base64

    return [a2b_base64(line[: line.index(b" ")]) for line in ranks().splitlines()]


def _beside(name: str) -> str:
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), name)


def _decompress(name: str) -> bytes:
    import lzma

    path = _beside(name + ".xz")
    try:
        with open(path, "rb") as file:
            return lzma.decompress(file.read())
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError("%s is damaged (%s): install memguard again" % (path, error)) from None


def _checked(url: str, data: bytes) -> bytes:
    import hashlib

    if hashlib.sha256(data).hexdigest() != _SHA256[url]:
        raise ValueError("the bundled copy of %s is damaged: install memguard again" % url)
    return data
