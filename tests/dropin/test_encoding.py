"""memguard.get_encoding against tiktoken's own Encoding."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

import memguard
from memguard import TokenBuffer, TokenBuffers, get_encoding, read_text
from memguard.dropin import buffer, encoder, encoding, source, spill, text
from memguard.pressure import request
from memguard.tokens.engine.encode import load_encoding

EOT = "<|endoftext|>"
PIECES = [
    "word",
    " the",
    "'s",
    "\n",
    "\n\n",
    "  ",
    "é",
    "中文",
    "😀",
    "123456",
    "!?",
    EOT,
    "<|",
    "\ud83d",
    "\ude00",
    "ȇ",
    "\u0897",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


LAW = settings(deadline=None, max_examples=max(8, settings().max_examples // 3))


@pytest.fixture(scope="module")
def real() -> tiktoken.Encoding:
    return load_encoding("gpt2")


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("encoding")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(spill.SPILL_VARIABLE, str(directory))
        patch.setattr(source, "_STEP", 32)
        patch.setattr(source, "_ENTRY", 16)
        patch.setattr(text, "SHORT", 4)
        patch.setattr(encoding, "_LONG", 60)
        patch.setattr(encoding, "_STEP", 16)
        patch.setattr(buffer, "_PENDING", 1000)
        get_encoding("gpt2").encode("x")  # type: ignore[union-attr]
        patch.setattr(encoder.encoder_of("gpt2"), "_block", 24)
        yield directory


def result(function: Callable[[Any, Any], Any], *values: Any) -> Any:
    try:
        found = function(*values)
    except Exception as error:
        return f"{type(error)} {error}"
    if isinstance(found, TokenBuffers):
        return [list(ids) for ids in found]
    return list(found) if isinstance(found, TokenBuffer) else found


ENCODES: list[Callable[[Any, Any], Any]] = [
    lambda e, t: e.encode_ordinary(t),
    lambda e, t: e.encode(t),
    lambda e, t: e.encode(t, disallowed_special=()),
    lambda e, t: e.encode(t, disallowed_special={"word", "é"}),
    lambda e, t: e.encode(t, allowed_special={EOT}),
    lambda e, t: e.encode(t, allowed_special="all"),
    lambda e, t: e.encode(t, allowed_special={EOT, "word"}, disallowed_special=["!?"]),
]


@given(TEXTS)
@LAW
def test_the_ids_and_the_errors_are_tiktokens(real: tiktoken.Encoding, small: Path, value: str) -> None:
    ours = get_encoding("gpt2")
    clean = value.encode("utf-8", "ignore").decode()
    (small / "text").write_text(clean, encoding="utf-8", newline="")
    lazy = read_text(small / "text", encoding="utf-8", newline="")
    for number, encode in enumerate(ENCODES):
        assert result(encode, ours, value) == result(encode, real, value), number
        assert result(encode, ours, lazy) == result(encode, real, clean), number


@given(st.lists(st.one_of(TEXTS, st.integers(0, 50256), st.integers(-5, 70_000)), max_size=40), st.randoms())
@LAW
def test_a_buffer_of_many_short_texts(real: tiktoken.Encoding, parts: list[str | int], dice: random.Random) -> None:
    def gather(enc: Any, all_ids: Any, seed: int) -> Any:
        choice = random.Random(seed)
        seen = []
        for part in parts:
            if isinstance(part, int):
                how = choice.randrange(3)
                if how == 0:
                    all_ids.append(part)
                elif how == 1:
                    all_ids += [part, 7]
                else:
                    all_ids.extend([])
                continue
            ids, how = enc.encode_ordinary(part), choice.randrange(7)
            if how == 0:
                ids.append(50256)
            elif how == 1:
                ids = [50256] + ids  # noqa: RUF005
            elif how == 2:
                ids = ids + [5, 6]  # noqa: RUF005
            elif how == 3:
                seen.append((len(ids), list(ids[:3])))
            elif how == 4:
                ids = ids + ids
            elif how == 5:
                seen.append(len(all_ids))
            all_ids.extend(ids)
        return seen, list(all_ids)

    seed = dice.randrange(1 << 30)
    assert gather(get_encoding("gpt2"), TokenBuffer(), seed) == gather(real, [], seed)


@given(st.lists(st.one_of(TEXTS, st.lists(st.integers(0, 60_000), max_size=5)), max_size=30))
@LAW
def test_lists_of_lists(real: tiktoken.Encoding, parts: list[Any]) -> None:
    ours, theirs = TokenBuffers(), []
    for part in parts:
        ours.append(get_encoding("gpt2").encode_ordinary(part) if isinstance(part, str) else part)
        theirs.append(real.encode_ordinary(part) if isinstance(part, str) else part)
    for read in (
        *(len, repr, list, lambda x: [list(ids) for ids in x], lambda x: [len(ids) for ids in x]),
        *(lambda x, i=i: x[i] for i in (0, -1, 3, 70)),
        *(lambda x, i=i: [list(ids) for ids in x[i]] for i in (slice(2), slice(None, None, -2), slice(-3, None))),
        lambda x: x["a"],
        lambda x: [theirs[-1] in x, [1] in x, x.count([]), x.index(theirs[0])] if theirs else 0,
        lambda x: x.index([1, 2, 3, 4, 5, 6, 7, 8]),
        lambda x: (np.concatenate(x).tolist(), np.concatenate(x).dtype.str),
        lambda x: np.concatenate(x, dtype=np.uint32).tolist(),
        lambda x: np.concatenate([x[0], x[-1], [5]]).tolist(),
        lambda x: np.mean(x[0]) if x[0] else 0,
        lambda x: [t for ids in x for t in ids],
        lambda x: sorted(x, key=len) == sorted(theirs, key=len),
        lambda x: pickle.loads(pickle.dumps(x)) == theirs,
        lambda x: x == theirs and theirs == x and x == x and x != [*theirs, []],
    ):
        assert result(lambda x, read=read: read(x), ours) == result(lambda x, read=read: read(x), theirs)


def test_a_list_in_a_list_of_lists_is_not_changed() -> None:
    ours = TokenBuffers([[1, 2], [3]])
    for use in (
        lambda x: x[0].append(1),
        lambda x: x[0].extend([1]),
        lambda x: x[0].clear(),
        lambda x: x[0].__iadd__([1]),
        lambda x: x[0].__delitem__(slice(0, 1)),
        lambda x: x.append((1, 2)),
        lambda x: x.append(np.array([1])),
        lambda x: x.append(5),
        lambda x: x.sort(),
        lambda x: random.shuffle(x),
    ):
        with pytest.raises((TypeError, AttributeError), match=r"list\(x\)"):
            use(ours)
    assert ours == [[1, 2], [3]] and type(ours[0] + [5]) is TokenBuffer


def test_batches_and_what_else_an_encoding_has(real: tiktoken.Encoding) -> None:
    ours = get_encoding("gpt2")
    texts = ["a b", "", "The end." + EOT, "é" * 90]
    for use in (
        lambda e: e.encode_ordinary_batch(texts, num_threads=2),
        lambda e: e.encode_batch(texts, disallowed_special=()),
        lambda e: e.encode_batch(texts, allowed_special="all"),
        lambda e: e.encode_batch(texts),
        lambda e: e.encode_ordinary_batch(["a", 5]),
        lambda e: (e.decode(e.encode("hello world")), e.decode_bytes(e.encode("hello")), e.decode_batch([[1], [2]])),
        lambda e: (e.eot_token, e.n_vocab, e.max_token_value, e.name, repr(e), e.special_tokens_set, e._special_tokens),
        lambda e: e.encode_single_token("hello"),
        lambda e: e.encode_to_numpy("hello world").tolist(),
        lambda e: e.no_such_name,
        *(lambda e, x=x: e.encode_ordinary(x) for x in (None, 5, b"x", ["a"])),
        *(lambda e, x=x: e.encode(x) for x in (None, 5, b"x", ["a"])),
        lambda e: e.encode("x", allowed_special=["y"]),
        lambda e: e.encode("x", allowed_special="some"),
        lambda e: e.encode("x y", disallowed_special="y"),
        lambda e: e.encode("x", disallowed_special=5),
        lambda e: e.encode("x", {"y"}),
    ):
        assert result(use, ours) == result(use, real)
    assert pickle.loads(pickle.dumps(ours)) is ours
    assert get_encoding("gpt2") is ours
    assert memguard.encoding_for_model("gpt2") is ours


@pytest.mark.parametrize("name", ["no such", None, 5])
def test_names_that_tiktoken_does_not_know(name: Any) -> None:
    with pytest.raises(Exception) as theirs:
        tiktoken.get_encoding(name)
    with pytest.raises(type(theirs.value)) as ours:
        get_encoding(name)
    assert str(ours.value) == str(theirs.value)
    with pytest.raises(KeyError, match="Could not automatically map"):
        memguard.encoding_for_model("no such")


def test_short_texts_wait_and_long_ones_do_not() -> None:
    ours = get_encoding("gpt2")
    ids = TokenBuffer()
    for _ in range(5):
        ids += ours.encode_ordinary("a short text") + [50256]  # type: ignore[operator]  # noqa: RUF005
    assert len(ids._waiting) == 10
    assert len(ids) == 20 and not ids._waiting
    assert buffer.unsettled(ours.encode_ordinary("a long text " * 9)) is None  # type: ignore[arg-type]


def test_an_engine_with_other_ids_is_not_used(monkeypatch: pytest.MonkeyPatch, real: tiktoken.Encoding) -> None:
    class Wrong:
        name = "gigatoken"

        def encode(self, data: bytes) -> Any:
            return np.array([1, 2, 3], np.uint32)

    make = encoder.make_engine
    monkeypatch.setattr(
        encoder, "make_engine", lambda name, engine="auto", **k: make(name, "tiktoken") if engine != "auto" else Wrong()
    )
    fresh = encoder.Encoder("gpt2")
    assert not fresh.fast
    assert np.concatenate(list(fresh.stream([b"hello world"]))).tolist() == real.encode("hello world")


def test_the_word_cache_goes_when_it_has_grown_or_the_guard_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, memory, forgotten = encoder.Encoder("gpt2"), [100 << 20], []
    monkeypatch.setattr(encoder, "anonymous_memory", lambda: memory[0])
    monkeypatch.setattr(encoder, "_LOOK", 1 << 10)
    list(fresh.stream([b"hello world"]))
    monkeypatch.setattr(fresh._engine, "forget", lambda: forgotten.append(memory[0]) or True, raising=False)
    fresh._cache = 1 << 20
    memory[0] += 300 << 20
    for _ in range(3):
        list(fresh.stream([b"hello world " * 2000]))
    assert not forgotten, "so little text does not fill it"
    for _ in range(8):
        list(fresh.stream([b"hello world " * 2000]))
    assert len(forgotten) == 1
    fresh._cache = 40 << 20
    request()
    list(fresh.stream([b"hello world " * 2000]))
    assert len(forgotten) == 2
    assert fresh._cache == encoder.budgets.CACHE_FLOOR


def test_without_a_fast_engine_tiktoken_does_it(
    monkeypatch: pytest.MonkeyPatch, real: tiktoken.Encoding, small: Path
) -> None:
    make = encoder.make_engine
    monkeypatch.setattr(encoder, "make_engine", lambda name, **_: make(name, "tiktoken"))
    ours = encoding.Encoding("gpt2")
    monkeypatch.setattr(ours, "_encoder", encoder.Encoder("gpt2"))
    for value in ("", "a b", "a long text " * 20, f"x{EOT}y" * 9, "\ud83d\ude00 é" * 40):
        clean = value.encode("utf-8", "ignore").decode()
        (small / "text").write_text(clean, encoding="utf-8", newline="")
        lazy = read_text(small / "text", encoding="utf-8", newline="")
        for encode in ENCODES:
            assert result(encode, ours, value) == result(encode, real, value)
            assert result(encode, ours, lazy) == result(encode, real, clean)
    assert not ours._fast
    assert ours.encode_ordinary_batch(["a b", "c"]) == real.encode_ordinary_batch(["a b", "c"])
    assert list(TokenBuffer(ours.encode("a b")) + ours.encode("c")) == real.encode("a b") + real.encode("c")
