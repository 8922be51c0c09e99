from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tiktoken.load
import tiktoken.registry
from hypothesis import given, settings
from hypothesis import strategies as st

from memguard.errors import ConfigError, EngineNotInstalled, InputError
from memguard.inject import gpt2_files
from memguard.tokens.engine import encode
from memguard.tokens.engine.download import bounded_downloads, missing_file
from memguard.tokens.engine.encode import load_encoding, load_vocabulary, make_engine
from tests.gpt2_cache import fill_cache
from tests.tokens.patterns import encoding as pattern_encoding

CL100K_URL = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"


@pytest.fixture(autouse=True)
def fresh() -> None:
    for cached in (load_encoding, load_vocabulary, encode._rank_file):
        cached.cache_clear()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty tiktoken cache, and requests that fail as they do without a network."""
    import requests

    def get(*_: Any, **__: Any) -> None:
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests, "get", get)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_gpt2_is_tiktokens_own(no_network: Path) -> None:
    """Against tiktoken's own constructor, which reads the two original files from its cache."""
    fill_cache(no_network)
    from tiktoken_ext.openai_public import gpt2

    theirs, ours = tiktoken.Encoding(**gpt2()), load_encoding("gpt2")
    assert (ours._mergeable_ranks, ours._pat_str) == (theirs._mergeable_ranks, theirs._pat_str)
    assert ours._special_tokens == theirs._special_tokens
    assert (ours.name, ours.n_vocab, ours.eot_token) == (theirs.name, theirs.n_vocab, theirs.eot_token)
    assert ours.encode_ordinary("hello world") == [31373, 995]


@pytest.mark.parametrize("name", ["gpt2", "r50k_base"])
def test_the_bundled_ones_need_neither_network_nor_cache(no_network: Path, name: str) -> None:
    assert load_encoding(name).name == name
    assert load_vocabulary(name) == encode.Vocabulary(name, 50257, 50256, "r50k", (("<|endoftext|>", 50256),))
    assert list(no_network.iterdir()) == []


def test_the_others_fail_offline_with_what_is_wanted(no_network: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_encoding("cl100k_base")
    message, hint = caught.value.message, caught.value.hint
    assert "\n" not in message + hint
    assert "cl100k_base" in message
    assert "TIKTOKEN_CACHE_DIR" in hint
    assert hashlib.sha1(CL100K_URL.encode()).hexdigest() in hint
    assert tiktoken.load.read_file.__module__ == "tiktoken.load"  # put back


def test_a_lookup_that_never_answers_is_given_up(no_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    import requests

    release, wanted = threading.Event(), []
    monkeypatch.setattr(requests, "get", lambda *_, **__: release.wait(30))
    with (
        pytest.raises(TimeoutError, match="no answer within"),
        bounded_downloads(wanted, connect_timeout=0.05),
    ):
        tiktoken.load.read_file(CL100K_URL)
    release.set()
    assert wanted == [CL100K_URL]
    assert "no answer within" in missing_file("cl100k_base", CL100K_URL, TimeoutError("no answer within 10 s")).message


def test_the_users_cache_is_read_and_not_written(no_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = b"".join(b"%b %d\n" % (encode_base64(token), n) for n, token in enumerate(gpt2_files.merge_order()))
    path = no_network / hashlib.sha1(CL100K_URL.encode()).hexdigest()
    path.write_bytes(ranks)  # not the real file: the hash check is tiktoken's own, and it is switched off here
    monkeypatch.setattr(tiktoken.load, "check_hash", lambda data, expected: True)
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})  # tiktoken's own memory of what it has loaded
    found = load_encoding("cl100k_base")
    assert found.encode_ordinary("hello world")
    assert load_vocabulary("cl100k_base").family == "cl100k"
    assert load_vocabulary("cl100k_base").dtype == "uint32"
    assert path.read_bytes() == ranks
    assert list(no_network.iterdir()) == [path]
    text = "I'LL be there, don't 12345 wait…\n\n  字字。\n"
    for engine in ("gigatoken", "tiktoken"):
        assert make_engine("cl100k_base", engine).encode(text.encode()).tolist() == found.encode_ordinary(text)


def encode_base64(token: bytes) -> bytes:
    import base64

    return base64.b64encode(token)


@pytest.mark.parametrize(
    ("name", "word"), [("gpt-4", "cl100k_base"), ("gtp2", "gpt2"), ("cl100k", "cl100k_base"), ("§§§", "o200k_base")]
)
def test_an_unknown_encoding_is_told_what_is_near(name: str, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_encoding(name)
    assert name in caught.value.message
    assert word in caught.value.hint


def test_damaged_data_are_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpt2_files, "_beside", lambda name: __file__)
    with pytest.raises(InputError, match="damaged"):
        load_encoding("gpt2")


@pytest.mark.parametrize("engine", ["gigatoken", "tiktoken"])
def test_special_tokens_in_the_text_are_ordinary(engine: str) -> None:
    made = make_engine("gpt2", engine)
    assert (made.name, made.n_vocab, made.eot) == (engine, 50257, 50256)
    assert made.encode(b"a<|endoftext|>b").tolist() == load_encoding("gpt2").encode_ordinary("a<|endoftext|>b")
    assert made.encode(b"").tolist() == []


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_the_engines_agree(text: str) -> None:
    expected = load_encoding("gpt2").encode_ordinary(text)
    for engine in (GIGATOKEN, TIKTOKEN):
        assert engine.encode(text.encode()).tolist() == expected


GIGATOKEN, TIKTOKEN = make_engine("gpt2", "gigatoken"), make_engine("gpt2", "tiktoken")


def test_forgetting_changes_nothing(english: str) -> None:
    engine = make_engine("gpt2", "gigatoken")
    before = engine.encode(english.encode()).tolist()
    assert engine.forget()
    assert engine.encode(english.encode()).tolist() == before == pattern_encoding("r50k").encode_ordinary(english)
    assert not TIKTOKEN.forget()


def test_auto_is_gigatoken_where_it_is_known_to_be_exact() -> None:
    assert make_engine("gpt2").name == "gigatoken"
    assert make_engine("gpt2", exact=()).name == "tiktoken"


def test_without_gigatoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    monkeypatch.setitem(sys.modules, "gigatoken.gigatoken_rs", None)
    assert make_engine("gpt2").name == "tiktoken"
    with pytest.raises(EngineNotInstalled, match="gigatoken is not installed"):
        make_engine("gpt2", "gigatoken")
    with pytest.raises(ConfigError, match="no such engine"):
        make_engine("gpt2", "fast")


def test_ranks_reach_the_engine_without_memfd_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.memfd_create", raising=False)
    assert make_engine("gpt2", "gigatoken").encode(b"hello world").tolist() == [31373, 995]
