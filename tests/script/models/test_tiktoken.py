"""A model's encoding is the one that tiktoken itself would take for it."""

from __future__ import annotations

import pytest

from memguard.script.models.tiktoken import MODEL_ENCODINGS, MODEL_PREFIXES, encoding_of_model
from memguard.script.read import read_script


def encoding_in(source: str) -> str:
    return read_script(f"import sys, tiktoken\n{source}\n", "s.py").encoding


@pytest.mark.parametrize(
    ("source", "encoding"),
    [
        ('tiktoken.encoding_for_model("gpt-4o")', "o200k_base"),
        ('tiktoken.encoding_for_model("gpt-4o-2024-05-13")', "o200k_base"),
        ('tiktoken.encoding_for_model(model_name="gpt-4")', "cl100k_base"),
        ('tiktoken.encoding_for_model("text-davinci-003")', "p50k_base"),
        ('tiktoken.encoding_for_model("gpt2")', "gpt2"),
        ('MODEL = "gpt-3.5-turbo"\ntiktoken.encoding_for_model(MODEL)', "cl100k_base"),
        ('tiktoken.get_encoding(encoding_name="p50k_base")', "p50k_base"),
        ("tiktoken.encoding_for_model(sys.argv[1])", "gpt2"),
    ],
)
def test_the_encoding_that_a_script_means(source: str, encoding: str) -> None:
    assert encoding_in(source) == encoding


def test_a_model_that_nobody_knows_is_listed() -> None:
    trace = read_script('import tiktoken\ntiktoken.encoding_for_model("no-such-model")\n', "s.py")
    assert len(trace.unrecognised) == 1


def test_the_table_is_tiktokens_own() -> None:
    table = pytest.importorskip("tiktoken.model")
    assert MODEL_ENCODINGS == table.MODEL_TO_ENCODING
    assert MODEL_PREFIXES == table.MODEL_PREFIX_TO_ENCODING
    for model in (*table.MODEL_TO_ENCODING, *(prefix + "x" for prefix in table.MODEL_PREFIX_TO_ENCODING)):
        assert encoding_of_model(model) == table.encoding_name_for_model(model)
