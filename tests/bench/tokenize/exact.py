"""gigatoken's tokens against tiktoken's, on random texts made of what patterns trip over.

    python -m tests.bench tokenize exact [--strings 2000000] [--seed N] [--encodings gpt2 cl100k_base …]

Every string is encoded by itself, many documents to a call as in a job; and a thousand of them in a row are one text,
which is cut at random safe places and encoded in parts. Encodings whose files tiktoken can neither find in
TIKTOKEN_CACHE_DIR nor download are left out, and named.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator

from memguard.errors import MemguardError
from memguard.tokens.engine.encode import Engine, load_encoding, load_vocabulary, make_engine
from memguard.tokens.input.split import first_cut
from tests.tokens.test_split import NASTY

__all__ = ["main"]

ENCODINGS = ("gpt2", "p50k_base", "cl100k_base", "o200k_base")
_TOGETHER = 1000  # strings
_LETTERS = NASTY + [chr(code) for code in range(1, 0x3000) if not 0xD800 <= code < 0xE000]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench tokenize exact", description=__doc__.splitlines()[0])
    parser.add_argument("--strings", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--encodings", nargs="+", default=ENCODINGS)
    arguments = parser.parse_args(argv)
    print(f"seed {arguments.seed}")
    different = 0
    for name in arguments.encodings:
        try:
            engine = make_engine(name, "gigatoken", documents=True)
        except MemguardError as error:
            print(f"{name:<14} left out: {error.message}")
            continue
        started, found = time.perf_counter(), 0
        for text in differences(name, engine, random.Random(arguments.seed), arguments.strings):
            found += 1
            if found <= 5:
                print(f"{name}: {text!r}")
        different += found
        seconds = time.perf_counter() - started
        print(f"{name:<14} {arguments.strings:,} strings, {found} encoded differently  ({seconds:.0f} s)")
        sys.stdout.flush()
    return 1 if different else 0


def differences(name: str, engine: Engine, generator: random.Random, count: int) -> Iterator[str]:
    oracle, vocabulary = load_encoding(name), load_vocabulary(name)
    assert vocabulary.family is not None
    for start in range(0, count, _TOGETHER):
        letters = NASTY if start % (2 * _TOGETHER) else _LETTERS
        strings = [
            "".join(generator.choices(letters, k=generator.randint(1, 14)))
            for _ in range(min(_TOGETHER, count - start))
        ]
        expected = [oracle.encode_ordinary(string) for string in strings]
        joined = [id for ids in expected for id in (*ids, vocabulary.n_vocab)][:-1]
        if engine.encode_documents([string.encode() for string in strings]).tolist() != joined:
            for string, ids in zip(strings, expected, strict=True):
                if engine.encode(string.encode()).tolist() != ids:
                    yield string
        text = "".join(strings)
        parts = _parts(text.encode(), vocabulary.family, generator)
        if [id for part in parts for id in engine.encode(part).tolist()] != oracle.encode_ordinary(text):
            yield text


def _parts(data: bytes, family: str, generator: random.Random) -> list[bytes]:
    parts = []
    while (cut := first_cut(data, family, generator.randint(1, 200))) is not None:
        parts.append(data[:cut])
        data = data[cut:]
    return [*parts, data]
