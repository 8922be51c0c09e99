"""A script's own tokenizer: how many tokens it makes of the text, and how many words differ in what a trainer reads."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from memguard.estimate.corpus.inputs import find_inputs
from memguard.estimate.corpus.read import Depth, read_corpus
from memguard.estimate.corpus.vocabulary import with_distinct_words
from memguard.estimate.own_tokens import OwnTokens, read_own_tokens, with_own_tokens
from memguard.estimate.script.amounts import TextShape
from memguard.tokens.engine.encode import load_encoding

TEXT = "the cat sat on the mat, and the dog sat on the cat\n" * 4000
BYTES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]


def tokenizer_json(merges: list[str], **more: object) -> str:
    """A byte-level BPE as the library tokenizers saves it: 256 letters, and one token for each merge."""
    letters = [chr(byte) for byte in BYTES] + [chr(0x100 + index) for index in range(256 - len(BYTES))]
    tokens = letters + [merge.replace(" ", "") for merge in merges]
    model = {"type": "BPE", "vocab": {token: index for index, token in enumerate(tokens)}, "merges": merges}
    return json.dumps(
        {"normalizer": None, "pre_tokenizer": {"type": "ByteLevel", "use_regex": True}, "model": model, **more}
    )


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text(TEXT)
    return path


def ratio_of(directory: Path, name: str, text: Path) -> OwnTokens:
    return read_own_tokens(name, str(directory / "s.py"), [str(text)], "gpt2", 256)


def test_letters_alone_are_a_token_a_byte(tmp_path: Path, text: Path) -> None:
    """Beside the script, where nothing of that name is in the working directory."""
    (tmp_path / "tok.json").write_text(tokenizer_json([]))
    own = ratio_of(tmp_path, "tok.json", text)
    gpt2 = len(load_encoding("gpt2").encode_ordinary(TEXT))
    assert own.known
    assert own.entries == 256
    assert own.tokens == pytest.approx(len(TEXT) / gpt2, rel=0.01)
    assert own.boxed == 0  # no id of its is above 255


def test_merges_are_counted(tmp_path: Path, text: Path) -> None:
    merges = ["t h", "th e", "Ġ the", "a t", "Ġ s", "Ġs at"]
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tokenizer.json").write_text(tokenizer_json(merges))
    own = ratio_of(tmp_path, "model", text)
    # " the" and " sat" are one token; "the" and "at" within another word, too; everything else is a letter each.
    saved = {" the": 3, " sat": 3, "the": 2, " cat": 1, " mat": 1}
    expected = sum(len(word) - saved.get(word, 0) for word in re.findall(r" ?[a-z]+|,|\n", TEXT))
    assert own.tokens * len(load_encoding("gpt2").encode_ordinary(TEXT)) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    "name", ["gpt2", "openai-community/gpt2", "distilgpt2", "gpt2-medium", "EleutherAI/gpt-neo-125M"]
)
def test_names_of_gpt2s_vocabulary_are_known(name: str, tmp_path: Path, text: Path) -> None:
    own = ratio_of(tmp_path, name, text)
    assert (own.known, own.tokens, own.entries) == (True, 1.0, 50257)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"model": 3}', '{"model": {"vocab": 7}}', "[" * 5000, '{"model": {"vocab": {}}}']
)
def test_what_is_no_tokenizer_is_not_known(content: str, tmp_path: Path, text: Path) -> None:
    (tmp_path / "t.json").write_text(content)
    assert not ratio_of(tmp_path, "t.json", text).known
    assert not ratio_of(tmp_path, "no-such-file", text).known


def test_a_tokenizer_with_a_pattern_of_another_kind_keeps_the_count(tmp_path: Path, text: Path) -> None:
    (tmp_path / "t.json").write_text(tokenizer_json([], pre_tokenizer={"type": "Whitespace"}))
    own = ratio_of(tmp_path, "t.json", text)
    assert (own.known, own.tokens, own.entries) == (False, 1.0, 256)


def test_the_figures_go_by_the_ratio_and_the_band_is_wider_where_it_is_not_known(text: Path) -> None:
    stats = read_corpus(find_inputs([str(text)], None), "gpt2", depth=Depth()).stats
    known = with_own_tokens(stats, OwnTokens("t", 256, tokens=2.0, boxed=0.5, known=True))
    assert known.tokens.expected == 2 * stats.tokens.expected == sum(part.tokens.expected for part in known.slices)
    boxed = (1 - stats.small_id_fraction) * stats.tokens.expected
    assert (1 - known.small_id_fraction) * known.tokens.expected == pytest.approx(0.5 * boxed)
    unknown = with_own_tokens(stats, OwnTokens("t"))
    assert unknown.tokens.expected == stats.tokens.expected
    assert unknown.tokens.low < 0.7 * stats.tokens.low
    assert unknown.tokens.high > 1.2 * stats.tokens.high


@pytest.mark.slow
def test_words_that_differ_are_counted_or_extrapolated(tmp_path: Path) -> None:
    small = tmp_path / "small.txt"
    small.write_text("one two, two three\n" * 100)
    found = with_distinct_words(TextShape(), [str(small)])
    assert found.distinct_between_spaces == 4  # "two," too
    assert found.distinct == 5  # "one", " two", ",", " three", and the end of the line
    # 12 MB of words by Zipf's law: more than the sample of 4 MB has, to within a fifth.
    random.seed(3)
    words = [f"w{int(random.paretovariate(0.9))}" for _ in range(1_200_000)]
    large = tmp_path / "large.txt"
    large.write_text(" ".join(words))
    assert with_distinct_words(TextShape(), [str(large)]).distinct_between_spaces == pytest.approx(
        len(set(words)), rel=0.2
    )
