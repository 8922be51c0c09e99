"""--allow-special: tiktoken's encode(text, allowed_special=…), wherever blocks begin and end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from memguard.errors import ConfigError
from memguard.tokens.check.verify import verify
from memguard.tokens.engine.encode import load_encoding, load_vocabulary
from memguard.tokens.input.special import Specials
from memguard.tokens.job import tokenize
from memguard.tokens.output.manifest import read_manifest

pytestmark = pytest.mark.usefixtures("shared_engines")

EOT = "<|endoftext|>"
PARTS = [EOT, EOT, "<|endof", "text|>", "<|", "|>", " ", "a", "word ", "字", "\n", "don't, ", "<", "12"]
texts = st.lists(st.sampled_from(PARTS), min_size=1, max_size=60).map("".join).filter(str.strip)


def expected(text: str) -> list[int]:
    return load_encoding("gpt2").encode(text, allowed_special={EOT}, disallowed_special=())


def read(directory: Path) -> list[int]:
    names = [name for name in ("train.bin", "val.bin") if (directory / name).exists()]
    return [int(id) for name in names for id in np.fromfile(directory / name, dtype="<u2")]


@example(text=f"{EOT}<|endof{EOT}{EOT}", block=1, fraction=0.3, workers=1)
@given(text=texts, block=st.integers(1, 40), fraction=st.sampled_from([0.0, 0.3]), workers=st.integers(1, 2))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_text(tmp_path: Path, text: str, block: int, fraction: float, workers: int) -> None:
    (tmp_path / "t.txt").write_bytes(text.encode())
    out, options = tmp_path / "out", {"val_fraction": fraction, "allow_special": EOT, "overwrite": True}
    tokenize([tmp_path / "t.txt"], out, block=block, workers=workers, **options)
    assert read(out) == expected(text)
    whole = (out / "train.bin").read_bytes()
    tokenize([tmp_path / "t.txt"], out, block=1 << 16, workers=1, **options)
    assert (out / "train.bin").read_bytes() == whole  # where val begins does not depend on the block


@given(
    documents=st.lists(texts, min_size=1, max_size=5), block=st.integers(1, 40), kind=st.sampled_from(["jsonl", "line"])
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_documents(tmp_path: Path, documents: list[str], block: int, kind: str) -> None:
    path, how = tmp_path / f"t.{kind}", {}
    if kind == "jsonl":
        path.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents))
    else:
        documents = [line for document in documents for line in document.split("\n") if line]
        path.write_bytes("\n".join(documents).encode())
        how = {"documents": "line"}
    out = tmp_path / "out"
    tokenize([path], out, block=block, val_fraction=0, eot=False, allow_special=EOT, overwrite=True, **how)
    assert read(out) == [id for document in documents for id in expected(document)]


@pytest.mark.parametrize("engine", ["gigatoken", "tiktoken"])
def test_only_what_is_asked_for_and_verify_knows_it(tmp_path: Path, engine: str) -> None:
    text = f"one{EOT} two {EOT}{EOT}\nthree \x1c\x1d\x1e\x1f four"
    (tmp_path / "t.txt").write_text(text)
    tokenize([tmp_path / "t.txt"], tmp_path / "plain", val_fraction=0, engine=engine)
    assert 50256 not in read(tmp_path / "plain")
    tokenize([tmp_path / "t.txt"], tmp_path / "out", val_fraction=0, engine=engine, allow_special=EOT)
    assert read(tmp_path / "out") == expected(text)
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None and manifest.options["allow_special"] == EOT
    assert verify(tmp_path / "out").ok


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"allow_special": "<|no|>"}, "has no special token"),
        ({"allow_special": ""}, "needs a special token"),
        ({"allow_special": EOT, "eot": True}, "could not be told apart"),
        ({"allow_special": EOT, "errors": "ignore"}, "may make a special token"),
    ],
)
def test_what_cannot_be_exact_is_refused(tmp_path: Path, options: dict[str, str | bool], words: str) -> None:
    (tmp_path / "t.txt").write_text("hello")
    with pytest.raises(ConfigError, match=words) as caught:
        tokenize([tmp_path / "t.txt"], tmp_path / "out", **options)
    assert caught.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tokens", [("aba",), ("ab", "bc"), ("<x>", "<x><y>"), ("x", "<x>")])
def test_tokens_that_may_overlap_are_refused(tokens: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="may overlap"):
        Specials(tuple(token.encode() for token in tokens))


def test_the_special_tokens_of_an_encoding_do_not_overlap() -> None:
    assert load_vocabulary("gpt2").special == ((EOT, 50256),)
    Specials((b"<|endoftext|>", b"<|fim_prefix|>", b"<|fim_middle|>", b"<|fim_suffix|>", b"<|endofprompt|>"))
