"""Every reason why something is left has a script that gives it, and the line."""

from __future__ import annotations

import pytest

from memguard.fix.propose import Asked, propose
from memguard.fix.reasons import Reason

_HEAD = """\
import json, pickle, random, re
import numpy as np
import tiktoken
enc = tiktoken.get_encoding("gpt2")
ids = []
for line in open("lines.txt"):
    ids.extend(enc.encode_ordinary(line))
"""
_TEXT = 'with open("input.txt") as f:\n    text = f.read()\n'
# Reason → (what follows the head, the line of the reason in it; 0: of what is left)
_SCRIPTS: dict[Reason, tuple[str, int]] = {
    Reason.GIVEN: ("import other\nother.write(ids)\n", 2),
    Reason.UNSEEN: ("import other\ndef make():\n    return ids\nother.call(make)\n", 2),
    Reason.CHANGED: ("print(1)\nids.insert(0, 5)\n", 2),
    Reason.ONE_BY_ONE: ("ids[0] = 5\n", 1),
    Reason.REPEATED: ("more = ids * 2\n", 1),
    Reason.PICKLED: ("pickle.dump(ids, open('a', 'wb'))\n", 1),
    Reason.AS_JSON: ("json.dump(ids, open('a', 'w'))\n", 1),
    Reason.TYPE: ("print(isinstance(ids, list))\n", 1),
    Reason.TENSOR: ("import torch\nt = torch.tensor(ids)\n", 2),
    Reason.COMPARED: ("print(ids < [5])\n", 1),
    Reason.HASHED: ("print({ids: 1})\n", 1),
    Reason.STORED: ("arr = np.zeros(9, np.uint16)\narr[:len(ids)] = ids\n", 2),
    Reason.NEW_TEXT: (_TEXT + "print(text.lower())\n", 3),
    Reason.WHOLE_TEXT: (_TEXT + "print(re.sub('a', 'b', text))\n", 3),
    Reason.REVERSED: (_TEXT + "print(text[::-1])\n", 3),
    Reason.MIXED: ("x = ids if len(ids) > 5 else None\nprint(x)\n", 2),
    Reason.ELEMENTS: ("ids.append(np.uint16(5))\nfew = ids + [5]\nlist(map(print, few))\n", 0),
    Reason.BROAD_TRY: ("try:\n    text = open('a').read()\nexcept Exception:\n    text = ''\nprint(len(text))\n", 2),
    Reason.REWRITTEN: (_TEXT + "open('input.txt', 'w').close()\nprint(len(text))\n", 3),
    Reason.SURROGATES: ("text = open('a', errors='surrogateescape').read()\nprint(len(text))\n", 1),
    Reason.OPENED: ("text = open('a', opener=print).read()\nprint(len(text))\n", 1),
    Reason.OTHER_TOKENIZER: (
        "import sentencepiece\nsp = sentencepiece.SentencePieceProcessor(model_file='m')\n"
        + _TEXT
        + "sp.encode(text)\n",
        5,
    ),
    Reason.FRAME: ("import pandas as pd\ndf = pd.read_parquet('a')\ndocs = df['text'].tolist()\nprint(len(docs))\n", 3),
    Reason.ENCODER: (_TEXT + "print(isinstance(enc.encode(text), list))\n", 3),
    Reason.DYNAMIC: ("exec('x = 1')\n", 0),
    Reason.IGNORED: ("more = []  # memguard: ignore\nmore.append(5)\n", 1),
    Reason.OTHER: ("print(-ids)\n", 1),
}


@pytest.mark.parametrize("reason", _SCRIPTS, ids=lambda reason: reason.name)
def test_a_script_gives_the_reason(reason: Reason) -> None:
    body, line = _SCRIPTS[reason]
    found = propose(_HEAD + body, "prepare.py")
    same = [left for left in found.left if left.reason is reason]
    assert same, [(left.line, left.reason.name) for left in found.left]
    if line:
        assert line + _HEAD.count("\n") in {left.line for left in same}
    assert all(left.sentence and "{" not in left.sentence for left in found.left)


def test_what_is_not_asked_for() -> None:
    found = propose(_HEAD, "prepare.py", Asked(skip=frozenset(("token-buffer",))))
    assert Reason.NOT_ASKED in {left.reason for left in found.left}


@pytest.mark.slow
def test_what_is_too_much_to_follow() -> None:
    large = _HEAD + "".join(f"x{n} = [ids, {n}] if ids else ids + [{n}]\n" for n in range(3000))
    found = propose(large, "prepare.py")
    assert {left.reason for left in found.left} == {Reason.TOO_MUCH} and not found.changes


def test_the_list_is_closed() -> None:
    assert set(Reason) - set(_SCRIPTS) == {Reason.NOT_ASKED, Reason.TOO_MUCH}
