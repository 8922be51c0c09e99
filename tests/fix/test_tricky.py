"""Ways in which a value gets to code that looks at it: fixed or left, what the program does stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from memguard.fix.propose import propose
from tests.fix.running import outcome_of, small_limits

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

_HEAD = """\
import json
import numpy as np
import tiktoken
enc = tiktoken.get_encoding("gpt2")
text = open("input.txt", encoding="utf-8").read()
ids = []
ids.extend(enc.encode_ordinary(text))
def look(x):
    print(type(x).__name__, json.dumps(x)[:40])
"""
_LOOKS = {
    "a property's setter": """
class Box:
    @property
    def ids(self):
        return self._ids
    @ids.setter
    def ids(self, value):
        look(value)
        self._ids = value
box = Box()
box.ids = ids
""",
    "__setattr__": """
class Box:
    def __setattr__(self, name, value):
        look(value)
Box().x = ids
""",
    "__iadd__": """
class Box:
    def __iadd__(self, other):
        look(other)
        return self
box = Box()
box += ids
""",
    "__radd__": """
class Box:
    def __radd__(self, other):
        look(other)
        return 1
print(ids + Box())
""",
    "__eq__": """
class Box:
    def __eq__(self, other):
        look(other)
        return True
print(ids == Box())
""",
    "__contains__": """
class Box:
    def __contains__(self, other):
        look(other)
        return True
print(ids in Box())
""",
    "__setitem__": """
class Box:
    def __setitem__(self, key, value):
        look(value)
Box()[0] = ids
""",
    "__call__": "\nclass Box:\n    def __call__(self, x):\n        look(x)\nBox()(ids)\n",
    "__exit__ of a class": """
class Box:
    def __enter__(self):
        return ids
    def __exit__(self, *error):
        return True
with Box() as found:
    look(found)
    raise ValueError
""",
    "the list type's own method": "\nlist.append(ids, 5)\nprint(len(ids))\n",
    "a slice with a name": "\npart = slice(0, 3)\nfew = ids[part]\nlook(few)\n",
    "what a generator returns": """
def steps():
    yield 1
    return ids
def outer():
    found = yield from steps()
    look(found)
print(list(outer()))
""",
    "a decorated class": """
def register(cls):
    cls.show = lambda self: look(self.ids)
    return cls
@register
class Box:
    def __init__(self, ids):
        self.ids = ids
Box(ids).show()
""",
    "getattr by a known name": "\nclass Box:\n    pass\nbox = Box()\nbox.ids = ids\nlook(getattr(box, 'ids'))\n",
    "unpacked arguments": "\ndef show(a, b, c, d, e, f):\n    look(f)\nmany = [1, 2, 3, 4, 5, ids]\nshow(*many)\n",
    "named arguments": "\ndef show(**all):\n    look(all['x'])\nshow(**{'x': ids})\n",
    "a default": "\ndef show(x=ids):\n    look(x)\nshow()\n",
    "a closure": "\ndef outer():\n    mine = ids\n    def inner():\n        look(mine)\n    return inner\nouter()()\n",
    "a partial": "\nimport functools\nfunctools.partial(look, ids)()\n",
    "map": "\nlist(map(look, [ids]))\n",
    "sorted by a key": "\nprint(len(sorted([ids, ids], key=lambda x: look(x) or 1)))\n",
    "a thread": "\nimport threading\nt = threading.Thread(target=look, args=(ids,))\nt.start()\nt.join()\n",
    "a class attribute": "\nclass Box:\n    ids = ids\n    def show(self):\n        look(self.ids)\nBox().show()\n",
    "a base class": """
class Base:
    def __init__(self, ids):
        self.keep(ids)
class Box(Base):
    def keep(self, ids):
        look(ids)
Box(ids)
""",
    "super": """
class Base:
    def keep(self, ids):
        look(ids)
class Box(Base):
    def keep(self, ids):
        super().keep(ids)
Box().keep(ids)
""",
    "a global of a function": "\ndef show():\n    look(ids)\nshow()\n",
    "an exception": "\ntry:\n    raise ValueError(ids)\nexcept ValueError as error:\n    look(error.args[0])\n",
    "a name before and after a try": """
kept = ids
try:
    kept = np.array(ids, dtype=np.uint16)
    open("missing")
    kept = 5
except OSError:
    print(type(kept).__name__)
finally:
    pass
kept = ids
try:
    open("missing")
    kept = 5
except OSError:
    look(kept)
""",
    "a loop that is left": """
found = None
for part in [1, 2, 3]:
    if part == 2:
        found = ids
        break
look(found)
""",
    "names that go round": """
a, b, c = [1], [2], ids
for _ in range(3):
    a, b, c = b, c, a
look(a), look(b), look(c)
""",
    "match": "\nmatch ids:\n    case [first, *rest]:\n        look(rest)\n    case _:\n        print('no')\n",
    "a walrus": "\nif (kept := ids):\n    look(kept)\n",
    "a dict of a dict": "\nd = {'a': {'b': ids}}\nlook(d['a']['b'])\nlook({**d['a']}['b'])\n",
    "a method under a name": "\nadd = ids.append\nadd(5)\nprint(len(ids), enc.decode(ids[-2:]))\n",
    "an encoder's method under a name": "\nencode = enc.encode_ordinary\nfew = encode('the cat')\nlook(few)\n",
    "text to a function": "\nimport re\ndef clean(t):\n    return re.sub('a', 'b', t)\nprint(clean(text)[:5])\n",
    "text as a key": "\ncounts = {}\ncounts[text] = 1\nprint(len(counts), text in counts)\n",
    "text in a list": "\ndocs = [text, text[2:]]\nprint('-'.join(docs)[:9], docs[1].upper()[:3])\n",
    "text formatted": "\nprint('%s' % text[:5], '{}'.format(text[2:7]), f'{text[:4]!r}')\n",
    "text by isinstance": "\nprint(isinstance(text, str), type(text) is str)\n",
    "text written": "\nwith open('copy.txt', 'w') as f:\n    f.write(text)\n    f.write(text[5:])\n",
}


@pytest.mark.parametrize("name", _LOOKS)
def test_what_looks_at_a_value_sees_the_same(name: str, tmp_path: Path) -> None:
    texts = {"input.txt": b"the cat sat on the mat, and it was warm there. " * 12}
    source = _HEAD + _LOOKS[name]
    found = propose(source, "prepare.py")
    first = outcome_of(source, texts, tmp_path / "work")
    with small_limits():
        again = outcome_of(found.fixed(found.changes), texts, tmp_path / "work")
    assert not first.differs(again), found.fixed(found.changes)
    if "look(" in _LOOKS[name] and "encode(" not in _LOOKS[name]:
        assert "ids = []" in found.fixed(found.changes), "json takes lists alone"
