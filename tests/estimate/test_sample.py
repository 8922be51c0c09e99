"""Counting and sampling against a toy engine (one id per word or character) and against tiktoken itself."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest

from memguard.estimate.corpus.sample import Files, TokenProfile, count_tokens, sample_tokens
from memguard.records.estimate import RowBatch
from memguard.tokens.engine.encode import load_encoding


def words(data: bytes) -> np.ndarray:
    """One id per run of spaces and word; the id is the word's length, 1000 times as large for capitals."""
    pieces = re.findall(rb" ?[^ \n]+|\s", data)
    return np.array([len(p) * (1000 if p.strip()[:1].isupper() else 1) for p in pieces], np.uint32)


def files(directory: Path, *contents: bytes) -> Files:
    paths, starts, size = [], [], 0
    for index, content in enumerate(contents):
        path = directory / f"{index}.txt"
        path.write_bytes(content)
        paths.append(str(path))
        starts.append(size)
        size += len(content)
    return Files(paths, starts, size)


def profile(source: Files, *, count: bool, translate: bool = False, seed: int = 0, encode=words) -> TokenProfile:
    if count:
        return count_tokens(source, lambda: encode, cached_int_max=256, translate=translate, workers=2)
    return sample_tokens(source, encode, cached_int_max=256, draw=random.Random(seed))


def test_counting_is_exact_over_block_and_file_borders(tmp_path: Path) -> None:
    text = b"The quick Brown fox jumps over the lazy Dog. " * 20_000
    other = b"one two Three\n" * 1000
    result = profile(files(tmp_path, text, other), count=True)
    ids = np.concatenate([words(text), words(other)])
    assert result.exact
    assert result.unsafe_cuts == 0
    assert sum(result.tokens) == len(ids)
    assert sum(result.heap_ints) == int((ids > 256).sum())
    assert result.ends[-1] == len(text) + len(other)
    assert result.error(result.tokens) == 0


def test_counting_is_tiktokens_count(tmp_path: Path, english: str) -> None:
    encoding = load_encoding("gpt2")
    text = (english[:150_000] + " 中文，字符。" * 5000) * 2

    def encode(data: bytes) -> np.ndarray:
        return np.array(encoding.encode_ordinary(data.decode()), np.uint32)

    result = profile(files(tmp_path, text.encode()), count=True, encode=encode)
    assert sum(result.tokens) == len(encoding.encode_ordinary(text))


def test_a_text_without_any_cut_says_that_it_is_not_exact(tmp_path: Path) -> None:
    result = profile(files(tmp_path, b"x" * 700_000), count=True)
    assert result.unsafe_cuts > 0
    assert result.error(result.tokens) > 0


def test_newlines_are_translated_for_the_text_alone(tmp_path: Path) -> None:
    data = b"a line\r\nanother\rlast " * 100
    result = profile(files(tmp_path, data), count=True, translate=True)
    assert sum(result.tokens) == len(words(data))
    assert sum(result.text_tokens) == len(words(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")))


def test_malformed_bytes_are_repaired_before_they_are_encoded(tmp_path: Path) -> None:
    def strict(data: bytes) -> np.ndarray:
        data.decode()
        return words(data)

    source = files(tmp_path, b"good \xff bad " * 50)
    result = count_tokens(source, lambda: strict, cached_int_max=256, translate=False, repair=True)
    assert sum(result.tokens) == len(words(("good \ufffd bad " * 50).encode()))


def mixed(size: int) -> bytes:
    """Short words first, long ones later: the head says little about the whole."""
    draw = random.Random(5)
    pieces: list[bytes] = []
    length = 0
    while length < size:
        letters = draw.randint(1, 4) if length < size // 2 else draw.randint(6, 14)
        pieces.append(b"Aa"[draw.random() < 0.7 :][:1] * letters)
        length += letters + 1
    return b" ".join(pieces)


def test_the_sample_finds_the_tokens_of_a_mixed_text(tmp_path: Path) -> None:
    data = mixed(2_500_000)
    source, ids = files(tmp_path, data), words(data)
    for seed in range(2):
        result = profile(source, count=False, seed=seed)
        assert not result.exact
        assert result.read_bytes < len(data) // 2
        assert sum(result.tokens) == pytest.approx(len(ids), rel=0.01)
        assert sum(result.heap_ints) == pytest.approx(int((ids > 256).sum()), rel=0.02)


def test_the_band_holds_the_truth_almost_always(tmp_path: Path) -> None:
    data = mixed(1_200_000)
    source, truth = files(tmp_path, data), len(words(data))
    hits = 0
    for seed in range(20):
        result = sample_tokens(source, words, cached_int_max=256, draw=random.Random(seed), strata=64)
        expected = sum(result.tokens)
        hits += abs(truth - expected) <= result.error(result.tokens) * expected
    assert hits >= 18


def test_the_same_seed_gives_the_same_sample(tmp_path: Path) -> None:
    source = files(tmp_path, mixed(300_000))
    first, second, other = (profile(source, count=False, seed=seed) for seed in (1, 1, 2))
    assert first.tokens == second.tokens
    assert first.tokens != other.tokens


def test_tokens_until_a_place_are_interpolated() -> None:
    result = TokenProfile(exact=True, translate=False, cached_int_max=256)
    result.ends, result.text_tokens, result.heap_ints = [10, 30], [10.0, 40.0], [1.0, 4.0]
    assert result.text_until(0) == (0, 0)
    assert result.text_until(10) == (10, 1)
    assert result.text_until(20) == (30, 3)
    assert result.text_until(30) == (50, 5)


def test_a_periodic_text_does_not_resonate_with_the_strata(tmp_path: Path) -> None:
    """Its period divides a stratum: places at a fixed distance would see the same words again and again."""
    unit = mixed(8192)[:8192]
    source, truth = files(tmp_path, unit * 128), len(words(unit * 128))
    hits = 0
    for seed in range(20):
        result = sample_tokens(source, words, cached_int_max=256, draw=random.Random(seed), strata=64)
        expected = sum(result.tokens)
        hits += abs(truth - expected) <= result.error(result.tokens) * expected
    assert hits >= 18


def test_the_heaviest_batch_of_documents_is_found() -> None:
    """Four entries of 50 documents; the third has most, and batches of 100 begin at 0 and at 100."""
    profile = TokenProfile(exact=True, translate=False, cached_int_max=256)
    for end, tokens, heap_ints in ((100, 10, 10), (200, 10, 10), (900, 70, 0), (1000, 10, 10)):
        profile.add_counts(end, (tokens, tokens, heap_ints), 1.0)
    found = profile.heaviest_batch([50, 100, 150, 200], 100)
    assert found is not None
    assert (found.tokens, found.boxed_tokens, found.bytes) == pytest.approx((0.8, 1 / 3, 0.8))
    assert profile.heaviest_batch([50, 100, 150, 200], 1000) == RowBatch(1.0, 1.0, 1.0)
    assert profile.heaviest_batch([], 100) is None
