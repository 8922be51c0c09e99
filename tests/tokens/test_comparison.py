from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from memguard.tokens.check import decode
from memguard.tokens.check.comparison import Chunk, Comparison, Difference
from memguard.tokens.check.decode import Decoder
from memguard.tokens.engine.encode import Vocabulary, load_encoding

EOT = 50256
ENCODING = load_encoding("gpt2")
PLAIN = Decoder("gpt2")
SILENT = Decoder("gpt2", silent=EOT)

TEXTS = st.lists(st.text(alphabet="ab é的\n🙂'", max_size=12), max_size=8)


def tokens_of(texts: list[str], eot: str) -> list[int]:
    before, after = ([EOT] if eot == "prepend" else []), ([EOT] if eot == "append" else [])
    return [token for text in texts for token in (*before, *ENCODING.encode_ordinary(text), *after)]


def chunks(ids: list[int], size: int) -> Iterator[Chunk]:
    for start in range(0, len(ids), size):
        yield Chunk("train.bin", start, np.array(ids[start : start + size], dtype=np.uint32))


def compare(
    texts: list[str], ids: list[int], eot: str, *, part: int = 5, size: int = 3, step: int = 1 << 18
) -> tuple[Difference | None, Comparison]:
    """Document n is the source `n.txt`."""
    run = Comparison(chunks(ids, size), PLAIN if eot == "none" else SILENT, eot, step=step)
    for number, text in enumerate(texts):
        data = text.encode()
        for start in range(0, len(data), part):
            difference = run.add(data[start : start + part], f"{number}.txt", start)
            if difference is not None:
                return difference, run
        difference = run.end_document()
        if difference is not None:
            return difference, run
    return run.close(), run


# However much text is waited for, the answer is the same.
every_step = pytest.mark.parametrize("step", [1, 7, 1 << 18])


fixtures = settings(max_examples=60, deadline=None)


@every_step
@pytest.mark.parametrize("eot", ["none", "append", "prepend"])
def test_tokens_of_a_text_are_that_text(eot: str, step: int) -> None:
    @fixtures
    @given(TEXTS, st.integers(1, 20), st.integers(1, 20))
    def law(texts: list[str], part: int, size: int) -> None:
        ids = tokens_of(texts, eot)
        difference, run = compare(texts, ids, eot, part=part, size=size, step=step)
        assert difference is None
        assert run.tokens == len(ids)
        assert run.text_bytes == sum(len(text.encode()) for text in texts)
        assert run.eot_tokens == (0 if eot == "none" else len(texts))

    law()


@every_step
@pytest.mark.parametrize("eot", ["none", "append", "prepend"])
def test_another_token_in_one_place_is_found_there(eot: str, step: int) -> None:
    @fixtures
    @given(TEXTS, st.integers(1, 9), st.integers(1, 9), st.data())
    def law(texts: list[str], part: int, size: int, data: st.DataObject) -> None:
        ids = tokens_of(texts, eot)
        places = [place for place, token in enumerate(ids) if token != EOT]
        if not places:
            return
        place = data.draw(st.sampled_from(places))
        changed = [*ids[:place], ENCODING.encode_ordinary("Q")[0], *ids[place + 1 :]]
        difference, _ = compare(texts, changed, eot, part=part, size=size, step=step)
        assert difference is not None
        assert (difference.kind, difference.shard, difference.token) == ("text", "train.bin", place)
        before = b"".join(ENCODING.decode_single_token_bytes(token) for token in ids[:place] if token != EOT)
        sources = [len(text.encode()) for text in texts]
        number = int(difference.source.split(".")[0])
        assert sum(sources[:number]) + difference.offset == len(before)
        assert difference.found is not None and difference.found.startswith(b"Q")

    law()


@every_step
@pytest.mark.parametrize("eot", ["append", "prepend"])
def test_a_missing_or_additional_end_of_text_is_found(eot: str, step: int) -> None:
    @fixtures
    @given(TEXTS.filter(len), st.integers(1, 9), st.integers(1, 9), st.data())
    def law(texts: list[str], part: int, size: int, data: st.DataObject) -> None:
        ids = tokens_of(texts, eot)
        place = data.draw(st.sampled_from([place for place, token in enumerate(ids) if token == EOT]))
        missing, _ = compare(texts, ids[:place] + ids[place + 1 :], eot, part=part, size=size, step=step)
        assert missing is not None and missing.kind == "eot"
        place = data.draw(st.integers(0, len(ids)))
        added, _ = compare(texts, [*ids[:place], EOT, *ids[place:]], eot, part=part, size=size, step=step)
        assert added is not None and added.kind == "eot"

    law()


def test_the_first_difference_is_told_in_full() -> None:
    texts = ["one two three", "four"]  # what is shown ends with the source
    ids = tokens_of(texts, "append")
    assert compare(texts, ids, "append")[0] is None
    changed = [*ids[:1], *ENCODING.encode_ordinary(" TWO"), *ids[2:]]
    difference, run = compare(texts, changed, "append", part=100)
    expected, found = b" two three", b" TWO three"
    assert difference == Difference("text", "another text", "train.bin", 1, "0.txt", 3, expected, found)
    assert run.text_bytes == 3


@every_step
def test_more_tokens_than_text_and_more_text_than_tokens(step: int) -> None:
    ids = tokens_of(["one two"], "none")
    more, _ = compare(["one two"], [*ids, 257, 258], "none", step=step)
    assert more is not None and (more.what, more.token) == ("more text than the source holds", 2)
    less, _ = compare(["one two three"], ids, "none", step=step)
    assert less is not None and (less.what, less.shard, less.offset) == ("the end of the tokens", None, 7)
    assert less.expected == b" three"


@every_step
def test_an_id_that_does_not_exist(step: int) -> None:
    difference, _ = compare(["one two"], [505, 60000], "none", step=step)
    assert difference is not None and (difference.kind, difference.token, difference.offset) == ("ids", 1, 3)


@every_step
def test_a_token_over_the_end_of_a_document_is_found(step: int) -> None:
    whole = ENCODING.encode_ordinary("onetwo")
    assert compare(["onetwo"], whole, "none", step=step)[0] is None
    difference, _ = compare(["o", "netwo"], whole, "none", step=step)
    assert difference is not None and difference.kind == "eot"
    assert difference.what == "a token that reaches over the end of the document"


@every_step
def test_an_end_of_text_token_in_a_text_without_them_is_other_text(step: int) -> None:
    difference, _ = compare(["one"], [*ENCODING.encode_ordinary("one"), EOT], "none", step=step)
    assert difference is not None and difference.kind == "text"


@pytest.mark.parametrize("decoder", [PLAIN, SILENT])
@given(ids=st.lists(st.one_of(st.integers(0, 50256), st.just(EOT)), max_size=50))
@settings(max_examples=50, deadline=None)
def test_decode_is_tiktokens(decoder: Decoder, ids: list[int]) -> None:
    expected = ENCODING.decode_bytes([token for token in ids if decoder is PLAIN or token != EOT])
    array = np.array(ids, dtype=np.uint16)
    assert decoder.decode(array).tobytes() == expected
    assert int(decoder.lengths(array).sum()) == len(expected)
    assert decoder.first_unknown(array) is None


def test_unknown_ids() -> None:
    assert PLAIN.first_unknown(np.array([1, 50256, 50257, 3, 65535], dtype=np.uint16)) == 2
    assert PLAIN.known(np.array([50256, 50257], dtype=np.uint32)).tolist() == [True, False]
    assert PLAIN.first_unknown(np.array([], dtype=np.uint16)) is None


def test_an_encoding_with_gaps_and_several_special_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """As cl100k_base: ids between the vocabulary and the special tokens belong to nobody."""
    special = {"<|endoftext|>": 300, "<|fim|>": 302}
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256}
    encoding = tiktoken.Encoding("gaps", pat_str=r"\S+|\s+", mergeable_ranks=ranks, special_tokens=special)
    monkeypatch.setattr(decode, "load_encoding", lambda name: encoding)
    monkeypatch.setattr(decode, "load_vocabulary", lambda name: Vocabulary(name, 303, 300, None))
    decoder = Decoder("gaps", silent=300)
    ids = np.array([256, 300, 302, 99], dtype=np.uint16)
    assert decoder.decode(ids).tobytes() == b"ab<|fim|>c"
    assert decoder.first_unknown(ids) is None
    assert decoder.known(np.array([256, 257, 299, 300, 301, 302, 303], dtype=np.uint32)).tolist() == [
        True, False, False, True, False, True, False,
    ]  # fmt: skip
    assert decoder.first_unknown(np.array([1, 301, 302], dtype=np.uint16)) == 1
