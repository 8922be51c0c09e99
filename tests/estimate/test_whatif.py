"""Estimates without the file: the arithmetic, and the figures of the public corpora against each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.errors import ConfigError
from memguard.estimate.whatif import LIKENESSES, PUBLIC_CORPORA, another_machine, like, public_corpus, scaled
from memguard.records.estimate import WordStats
from memguard.units import GIB


@pytest.mark.parametrize("name", LIKENESSES)
def test_a_likeness_adds_up(name: str) -> None:
    stats = like(name, 45 * 10**9)
    assert sum(part.utf8 for part in stats.slices) == pytest.approx(stats.bytes, abs=2)
    assert sum(part.tokens.expected for part in stats.slices) == pytest.approx(stats.tokens.expected, abs=2)
    assert stats.tokens.low < stats.tokens.expected < stats.tokens.high
    assert stats.document_stats is not None
    assert stats.document_stats.str_bytes.expected > stats.chars


@pytest.mark.parametrize("name", PUBLIC_CORPORA)
def test_public_corpora_have_sources_and_plausible_tokens(name: str) -> None:
    corpus, stats = PUBLIC_CORPORA[name], public_corpus(name)
    assert "huggingface.co" in corpus.sources
    assert stats.bytes == corpus.bytes
    assert stats.documents == corpus.documents
    assert 4.0 <= stats.bytes / stats.tokens.expected <= 4.8
    if corpus.tokens is not None:
        assert stats.tokens.expected == pytest.approx(corpus.tokens, rel=1e-6)
    elsewhere = public_corpus(name, val_fraction=0)
    assert len(elsewhere.slices) == 1


def test_openwebtext_is_what_nanogpt_counts() -> None:
    """train.bin and val.bin hold one end-of-text token a document more."""
    corpus = PUBLIC_CORPORA["openwebtext"]
    assert corpus.tokens == 9_035_582_198 + 4_434_897 - 8_013_769


def test_another_encoding_needs_a_file() -> None:
    with pytest.raises(ConfigError, match="cl100k_base"):
        like("english", 10**9, encoding="cl100k_base")


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_scaling_keeps_the_proportions(before: int, after: int) -> None:
    stats = scaled(like("code", before), after)
    assert stats.bytes == after
    assert not stats.tokens_exact
    assert stats.tokens.low <= stats.tokens.expected <= stats.tokens.high
    assert stats.tokens.expected == pytest.approx(after / 2.21, rel=0.01, abs=after / before + 2)


def test_words_that_differ_grow_more_slowly_than_the_text() -> None:
    stats = replace(like("code", 10**6), words=WordStats(1000, 8000, 100, 9000, 500, growth=0.5))
    assert scaled(stats, 4 * 10**6).words == WordStats(2000, 16_000, 200, 18_000, round(500 * 4**0.3), growth=0.5)


def test_a_machine_is_its_memory_less_the_reserve() -> None:
    limits = another_machine(64 * GIB, limit=None, reserve=2 * GIB)
    assert (limits.effective, limits.total) == (62 * GIB, 64 * GIB)
    assert another_machine(64 * GIB, limit=8 * GIB, reserve=2 * GIB).effective == 8 * GIB
