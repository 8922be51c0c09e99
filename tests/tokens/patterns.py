"""Every pattern that split.py knows, over the bundled GPT-2 ranks: tiktoken itself, without a network.

The real cl100k and o200k ranks are not needed to prove a cut: a cut is safe if it is a boundary between pieces and
leaves the other pieces alone, and the pieces depend on the pattern only. `pieces` shows them.
"""

from __future__ import annotations

import functools
import types

import regex
import tiktoken
from tiktoken_ext import openai_public

from memguard.inject import gpt2_files

_MAKERS = {"r50k": "gpt2", "cl100k": "cl100k_base", "o200k": "o200k_base"}


@functools.cache
def pattern(family: str) -> str:
    """The pattern as the installed tiktoken writes it: its own maker, run with loaders that load nothing."""
    maker = getattr(openai_public, _MAKERS[family])
    empty = {name: lambda *_, **__: {} for name in ("load_tiktoken_bpe", "data_gym_to_mergeable_bpe_ranks")}
    made = types.FunctionType(maker.__code__, {**vars(openai_public), **empty})()
    assert isinstance(made["pat_str"], str)
    return made["pat_str"]


@functools.cache
def encoding(family: str) -> tiktoken.Encoding:
    ranks = {token: rank for rank, token in enumerate(gpt2_files.merge_order())}
    return tiktoken.Encoding(family, pat_str=pattern(family), mergeable_ranks=ranks, special_tokens={})


@functools.cache
def _compiled(family: str) -> regex.Pattern[str]:
    return regex.compile(pattern(family))


def pieces(family: str, text: str) -> list[str]:
    return _compiled(family).findall(text)
