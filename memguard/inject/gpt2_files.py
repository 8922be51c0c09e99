"""The two original files of the GPT-2 vocabulary, and the one that tiktoken derives from them, without a network.

`contents(url)` answers for the three URLs that tiktoken asks for; for any other it returns None. The files lie
beside this one, compressed with xz; every answer is checked against the SHA-256 that tiktoken itself expects.
Origin and licence: LICENSE.gpt2 in this directory. Standard library only, and no more of it than needed: the scripts
that `memguard run` guards import this too, on any Python that tiktoken supports.
"""

from __future__ import annotations

import os

__all__ = ["URLS", "contents", "merge_order"]

_RELEASE = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/"
_VOCAB_BPE = _RELEASE + "vocab.bpe"
_ENCODER_JSON = _RELEASE + "encoder.json"
_R50K_BASE = "https://openaipublic.blob.core.windows.net/encodings/r50k_base.tiktoken"

URLS = (_VOCAB_BPE, _ENCODER_JSON, _R50K_BASE)

# As written in tiktoken_ext/openai_public.py.
_SHA256 = {
    _VOCAB_BPE: "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    _ENCODER_JSON: "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    _R50K_BASE: "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
}


def contents(url: str) -> bytes | None:
    """The file that `url` names, byte for byte; None where it is not one of the three.

    Also None on a Python that was built without lzma: the caller then goes on as if this module were not there.
    Raises ValueError when the data beside this file are damaged.
    """
    if url not in _SHA256:
        return None
    try:
        data = _r50k_base() if url == _R50K_BASE else _decompress(url.rsplit("/", 1)[1])
    except ImportError:
        return None
    return _checked(url, data)


def merge_order() -> list[bytes]:
    """The 50,256 tokens of GPT-2 in the order of their ids, `<|endoftext|>` (50256) left out."""
    return _parse_merges(_checked(_VOCAB_BPE, _decompress("vocab.bpe")))


def _decompress(name: str) -> bytes:
    import lzma

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".xz")
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


def _parse_merges(vocab_bpe: bytes) -> list[bytes]:
    """Ids follow the order of the merges; the 256 single bytes come first.

    GPT-2 writes every byte as one printable character: the bytes that are printable in Latin-1 (the space is not
    taken as one) as themselves, the others as U+0100 onwards, in order. Single bytes are numbered in that order too.
    """
    printable = [b for b in range(256) if chr(b).isprintable() and chr(b) != " "]
    order = printable + [b for b in range(256) if b not in printable]
    letters = [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    table = {ord(letter): byte for letter, byte in zip(letters, order)}  # noqa: B905 (strict= is newer than some Pythons here)
    table[ord("\n")] = 256  # one character that is no byte, to split at: one pass over the whole text is fastest
    merges = vocab_bpe.decode("utf-8").split("\n", 1)[1].rstrip("\n").replace(" ", "").translate(table)
    return [bytes([b]) for b in order] + [merge.encode("latin-1") for merge in merges.split(chr(256))]


def _r50k_base() -> bytes:
    """`base64(token) rank` per line, as in the file that tiktoken downloads under that name."""
    from binascii import b2a_base64

    return b"".join([b"%b %d\n" % (b2a_base64(token, newline=False), n) for n, token in enumerate(merge_order())])
