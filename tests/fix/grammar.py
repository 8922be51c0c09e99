"""Random programs of the kind that prepares text: shapes × readers × accumulators × sinks × import styles × texts."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Program", "make_program", "make_text"]

_WORDS = (
    "the",
    "cat",
    "Ünïcode",
    "日本語",
    "🙂",
    "e\u0301",
    "don't",
    "42",
    "x",
    "\u2028",
    "a\u00a0b",
    "semi;colon",
    "naïve",
)
_ENDS = ("\n", "\n", "\n", "\n\n", " ", "\r\n", "\r", "\n\r")


@dataclass(frozen=True)
class Program:
    source: str
    texts: dict[str, bytes]


def make_text(rng: random.Random) -> bytes:
    """Words with every kind of line end, at times invalid UTF-8, a special token, or nothing at all."""
    if rng.random() < 0.03:
        return b""
    ends = _ENDS if rng.random() < 0.5 else ("\n", " ", "\n\n")
    parts: list[str] = []
    for _ in range(rng.randrange(1, 260)):
        parts += [rng.choice(_WORDS), rng.choice((" ", " ", " ", *ends))]
    text = "".join(parts)
    if rng.random() < 0.06:
        text = text[: len(text) // 2] + "<|endoftext|>" + text[len(text) // 2 :]
    data = text.encode()
    if rng.random() < 0.05:
        at = rng.randrange(len(data) + 1)
        data = data[:at] + rng.choice((b"\xff", b"\xe2\x82", b"\xc0\xaf")) + data[at:]
    if rng.random() < 0.04:
        data = "\ufeff".encode() + data
    return data


class _Writer:
    """Lines of one program, and the names that it has so far."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.lines: list[str] = []
        self.indent = 0
        self.counter = 0

    def put(self, *lines: str) -> None:
        self.lines += [" " * 4 * self.indent + line for line in lines]

    def name(self, *stems: str) -> str:
        self.counter += 1
        return f"{self.rng.choice(stems)}{self.counter if self.rng.random() < 0.4 else ''}"

    def pick(self, *choices: str) -> str:
        return self.rng.choice(choices)

    def maybe(self, share: float) -> bool:
        return self.rng.random() < share


def make_program(rng: random.Random) -> Program:
    out = _Writer(rng)
    texts = {"input.txt": make_text(rng)}
    if rng.random() < 0.3:
        texts["other.txt"] = make_text(rng)
    enc_call = _imports(out)
    shape = rng.choice(
        (_whole, _whole, _whole, _lines, _lines, _chunks, _chars, _documents, _files, _jsonl, _lists, _class)
    )
    body = _Writer(rng)
    shape(body, enc_call, texts)
    if rng.random() < 0.25 and shape is not _class:
        out.put("", "def main():")
        out.lines += [f"    {line}" if line else line for line in body.lines]
        out.put("", "if __name__ == '__main__':" if rng.random() < 0.6 else "if True:", "    main()")
    else:
        out.put(*body.lines)
    source = "\n".join(out.lines) + rng.choice(("\n", ""))
    if rng.random() < 0.1:
        source = source.replace("\n", "\r\n")
    if rng.random() < 0.1:
        source = source.replace("    ", "\t")
    return Program(source, texts)


def _imports(out: _Writer) -> str:
    """The head of the program; how the encoder is made."""
    if out.maybe(0.2):
        out.put('"""Prepares a text."""')
    if out.maybe(0.15):
        out.put("from __future__ import annotations")
    if out.maybe(0.15):
        out.put("import os, sys")
    out.put("import json")
    style = out.rng.randrange(3)
    out.put(("import tiktoken", "import tiktoken as tk", "from tiktoken import get_encoding")[style])
    if out.maybe(0.15):
        out.put("import random; import numpy as np")
    else:
        out.put("import numpy as np", "import random")
    if out.maybe(0.1):
        out.put("import memguard")
    if out.maybe(0.3):
        out.put("", "# what follows prepares the text")
    if out.maybe(0.2):
        out.put("SEED = 3", "from pathlib import Path")
    else:
        out.put("from pathlib import Path")
    made = ("tiktoken.get_encoding", "tk.get_encoding", "get_encoding")[style]
    return f'{made}("{out.pick("gpt2")}")'


def _read(out: _Writer, name: str, path: str = '"input.txt"') -> None:
    """`name` becomes all of a text."""
    options = out.pick("", ', encoding="utf-8"', ', "r"', ', "r", encoding="utf-8"', ', encoding="utf-8", newline=""')
    if out.maybe(0.1):
        options = out.pick(', encoding="latin-1"', ', encoding="utf-8-sig"', ', encoding="utf-8", errors="replace"')
    if out.maybe(0.06):
        options = ', encoding="utf-8", errors="ignore"'
    kind = out.rng.randrange(6)
    if kind == 0:
        out.put(f"{name} = open({path}{options}).read()")
    elif kind == 1:
        out.put(f"f = open({path}{options})", f"{name} = f.read()", "f.close()")
    elif kind == 2:
        encoding = 'encoding="utf-8"' if out.maybe(0.7) else ""
        out.put(f"{name} = Path({path}).read_text({encoding})")
    elif kind == 3:
        encoding = ', encoding="utf-8"' if out.maybe(0.7) else ""
        out.put(f"with Path({path}).open('r'{encoding}) as handle:", f"    {name} = handle.read()")
    else:
        out.put(
            f"with open({path}{options}) as f:", f"    {name} = f.read(){out.pick('', '', '.strip()', '.rstrip()')}"
        )
    if out.maybe(0.1):
        out.put(f"if not {name}:", "    raise SystemExit('empty')")


def _look(out: _Writer, text: str) -> None:
    """Statements that look at a text."""
    looks = (
        f"print(len({text}))",
        f"print(f'{{len({text}):,}} characters')",
        f"print({text}[:20])",
        f"print(repr({text}[-5:]))",
        f"print({text}.count('the'), {text}.find('cat'), 'zzz' in {text})",
        f"print(sorted(set({text}))[:5])",
        f"print(len({text}.split()), len({text}.splitlines()))",
        f"print({text}.startswith('the'), {text}.endswith('\\n'))",
        f"print(sum(1 for c in {text} if c == 't'))",
        f"print({text}.strip() == {text}, {text} != '')",
        f"print({text}.lower()[:10])",
        f"print({text}.replace('the', 'a')[:10])",
        f"print({text}[::-1][:5])",
        f"print({text}[0] if {text} else None)",
        f"print(max({text}, default=''), list({text})[:3])",
        f"words = {text}.split()\nprint(words[:3], len(words), words.index('cat') if 'cat' in words else -1)",
        f"for line in {text}.splitlines()[:2]:\n    print(line)",
        f"assert {text} is not None",
    )
    for look in out.rng.sample(looks, out.rng.choice((0, 0, 1, 1, 2))):
        out.put(*look.split("\n"))


def _look_ids(out: _Writer, ids: str) -> None:
    looks = (
        f"print(len({ids}))",
        f"print({ids}[:5], {ids}[-3:])",
        f"print(max({ids}, default=0), sum({ids}))",
        f"print(len(set({ids})), 5 in {ids})",
        f"print({ids} == list({ids}), bool({ids}))",
        f"print({ids}[::7][:4])",
        f"print(enc.decode({ids}[:12]))",
        f"print({ids}.count(262), {ids}[0] if {ids} else None)",
        f"print([t for t in {ids} if t > 40000][:3])",
        f"print(f'{{len({ids}) / 2:.1f}} pairs')",
        f"copy = {ids}.copy()\ncopy.append(7)\nprint(len(copy), len({ids}))",
        f"print(isinstance({ids}, list))",
        f"{ids}[0:1] = [9]",
        f"{ids}.insert(0, 1)",
        f"{ids}.sort()",
        f"json.dump({ids}, open('ids.json', 'w'))",
        f"print(np.mean({ids}) if {ids} else 0, np.unique({ids})[:4])",
        f"for a, b in zip({ids}, {ids}[1:]):\n    if a == b:\n        print(a)\n        break",
    )
    for look in out.rng.sample(looks, out.rng.choice((0, 0, 1, 1, 2))):
        out.put(*look.split("\n"))


def _sink(out: _Writer, ids: str, name: str) -> None:
    """What becomes of ids."""
    dtype = out.pick("np.uint16", "np.uint16", "np.uint16", "np.uint32", "np.int32", "'uint16'", "np.uint8", "np.int64")
    kind = out.rng.randrange(9)
    if kind == 0:
        out.put(f"{ids} = np.array({ids}, dtype={dtype})", f"{ids}.tofile('{name}.bin')")
    elif kind == 1:
        out.put(f"np.array({ids}, dtype={dtype}).tofile('{name}.bin')")
    elif kind == 2:
        out.put(f"arr = np.array({ids})", "print(arr.dtype, arr.shape)", f"arr.astype({dtype}).tofile('{name}.bin')")
    elif kind == 3:
        out.put(f"np.save('{name}.npy', np.asarray({ids}, {dtype}))")
    elif kind == 4:
        out.put(f"np.save('{name}.npy', {ids})")
    elif kind == 5:
        out.put(f"with open('{name}.bin', 'wb') as g:", f"    g.write(np.array({ids}, dtype={dtype}).tobytes())")
    elif kind == 6:
        out.put(
            f"mm = np.memmap('{name}.bin', dtype={dtype}, mode='w+', shape=(max(1, len({ids})),))",
            f"mm[:len({ids})] = np.array({ids}, dtype={dtype})",
            "mm.flush()",
        )
    elif kind == 7:
        out.put("import array", f"array.array('I', {ids}).tofile(open('{name}.bin', 'wb'))")
    else:
        out.put(f"Path('{name}.txt').write_text(' '.join(map(str, {ids})))")


def _encode(out: _Writer, text: str) -> str:
    return f"enc.{out.pick('encode_ordinary', 'encode_ordinary', 'encode')}({text})"


def _whole(out: _Writer, enc: str, texts: dict[str, bytes]) -> None:
    data = out.name("data", "text", "raw")
    _read(out, data)
    _look(out, data)
    out.put(f"enc = {enc}")
    if out.maybe(0.7):
        cut = out.pick("0.9", "0.5", "0.99", "0.1")
        out.put(f"n = len({data})")
        if out.maybe(0.5):
            out.put(f"train = {data}[:int(n*{cut})]", f"val = {data}[int(n*{cut}):]")
        else:
            out.put(f"split = int({cut} * n)", f"train, val = {data}[:split], {data}[split:]")
        _look(out, "val")
        for part in ("train", "val"):
            ids = f"{part}_ids"
            out.put(f"{ids} = {_encode(out, part)}")
            _look_ids(out, ids)
        for part in ("train", "val"):
            _sink(out, f"{part}_ids", part)
    else:
        ids = out.name("ids", "tokens")
        out.put(f"{ids} = {_encode(out, data)}")
        if out.maybe(0.3):
            out.put(f"{ids}.append(enc.eot_token)")
        _look_ids(out, ids)
        if out.maybe(0.4):
            out.put(f"cut = int(len({ids}) * 0.9)", f"train_ids = {ids}[:cut]", f"val_ids = {ids}[cut:]")
            _sink(out, "train_ids", "train")
            _sink(out, "val_ids", "val")
        else:
            _sink(out, ids, "all")


def _grow(out: _Writer, ids: str, made: str) -> None:
    """`made` goes into a list."""
    kind = out.rng.randrange(8)
    if kind == 0:
        out.put(f"{ids}.extend({made})")
    elif kind == 1:
        out.put(f"{ids} += {made}")
    elif kind == 2:
        out.put(f"{ids} += {made} + [enc.eot_token]")
    elif kind == 3:
        out.put(f"{ids}.extend([enc.eot_token] + {made})")
    elif kind == 4:
        out.put(f"for t in {made}:", f"    {ids}.append(t)")
    elif kind == 5:
        out.put(f"{ids}.append(enc._special_tokens['<|endoftext|>'])", f"{ids}.extend({made})")
    elif kind == 6:
        out.put(f"{ids} = {ids} + {made}")
    else:
        out.put(f"part = {made}", f"{ids}.extend(part)", f"{ids}.append(enc.eot_token)", "del part")


def _flush(out: _Writer, ids: str) -> None:
    """The list goes to a file each time it is full."""
    emptied = out.pick(f"{ids} = []", f"{ids}.clear()", f"del {ids}[:40]", f"{ids} = {ids}[40:]")
    out.put(
        f"while len({ids}) >= 40:" if "40" in emptied else f"if len({ids}) >= 40:",
        f"    np.save(f'shard{{shard}}.npy', np.array({ids}[:40], dtype=np.uint16))",
        "    shard += 1",
        f"    {emptied}",
    )


def _accumulate(out: _Writer, enc: str, head: list[str], made: str, texts: dict[str, bytes]) -> None:
    ids = out.name("ids", "all_ids", "tokens", "buffer")
    out.put(f"enc = {enc}", f"{ids} = {out.pick('[]', '[]', '[]', 'list()')}", "shard = 0")
    if out.maybe(0.15):
        out.put(f"{ids}.append(enc.eot_token)")
    for line in head:
        out.put(line)
    out.indent += len([line for line in head if line.endswith(":")])
    _grow(out, ids, made)
    if out.maybe(0.15):
        out.put(f"print(len({ids}))")
    if out.maybe(0.25):
        _flush(out, ids)
    out.indent = 0
    if out.maybe(0.15):
        out.put(f"view = {ids}[:10]", "view.append(1)", f"print(view, len({ids}))")
    _look_ids(out, ids)
    if out.maybe(0.3):
        out.put(f"n = int(len({ids}) * 0.9)")
        out.put(f"train_ids, val_ids = {ids}[:n], {ids}[n:]")
        _sink(out, "train_ids", "train")
        _sink(out, "val_ids", "val")
    else:
        _sink(out, ids, "all")


def _lines(out: _Writer, enc: str, texts: dict[str, bytes]) -> None:
    opened = out.pick('open("input.txt", encoding="utf-8")', 'open("input.txt")', 'open("input.txt", errors="replace")')
    kind = out.rng.randrange(4)
    line = out.pick("line", "line.strip()", "line.rstrip('\\n')")
    if kind == 0:
        head = [f"for line in {opened}:"]
    elif kind == 1:
        head = [f"with {opened} as f:", "    for line in f:"]
    elif kind == 2:
        head = [
            f"lines = {opened}.read().{out.pick('splitlines()', 'split(chr(10))', 'splitlines(True)')}",
            "for line in lines:",
        ]
    else:
        head = [f"docs = {opened}.read().split('\\n\\n')", "docs = [d.strip() for d in docs]", "for line in docs:"]
    if out.maybe(0.3):
        indent = " " * 4 * sum(one.endswith(":") for one in head)
        head += [f"{indent}if not line.strip():", f"{indent}    continue"]
        _accumulate_after(out, enc, head, _encode(out, line), texts)
        return
    _accumulate(out, enc, head, _encode(out, line), texts)


def _accumulate_after(out: _Writer, enc: str, head: list[str], made: str, texts: dict[str, bytes]) -> None:
    """As _accumulate; the head's last block is one of its own."""
    start = len(out.lines)
    _accumulate(out, enc, head, made, texts)
    depth = sum(one.endswith(":") for one in head) - 1
    inside = out.lines.index(head[-1], start) + 1
    for number in range(inside, len(out.lines)):
        line = out.lines[number]
        if not line.startswith(" " * 4 * (depth + 1)):
            break
        out.lines[number] = line[4:]


def _chunks(out: _Writer, enc: str, texts: dict[str, bytes]) -> None:
    size = out.pick("64", "100", "7", "SIZE")
    if size == "SIZE":
        out.put("SIZE = 50")
    kind = out.rng.randrange(3)
    if kind == 0:
        head = ['with open("input.txt", encoding="utf-8") as f:', f"    while chunk := f.read({size}):"]
    elif kind == 1:
        head = ['f = open("input.txt", encoding="utf-8")', f"for chunk in iter(lambda: f.read({size}), ''):"]
    else:
        out.put('text = open("input.txt", encoding="utf-8").read()')
        head = [f"for i in range(0, len(text), {size}):", f"    chunk = text[i:i + {size}]"]
        start = len(out.lines)
        _accumulate(out, enc, head, _encode(out, "chunk"), texts)
        del start
        return
    _accumulate(out, enc, head, _encode(out, "chunk"), texts)


def _chars(out: _Writer, enc: str, texts: dict[str, bytes]) -> None:
    _read(out, "data")
    _look(out, "data")
    source = out.pick("data", "data", "data[:len(data) // 2]")
    out.put(f"chars = sorted(list(set({source})))", "vocab_size = len(chars)", "print(vocab_size)")
    out.put("stoi = { ch:i for i,ch in enumerate(chars) }", "itos = { i:ch for i,ch in enumerate(chars) }")
    style = out.rng.randrange(3)
    if style == 0:
        out.put("def encode(s):", "    return [stoi[c] for c in s]")
    elif style == 1:
        out.put("encode = lambda s: [stoi[c] for c in s]")
    else:
        out.put("def encode(s):", "    ids = []", "    for c in s:", "        ids.append(stoi[c])", "    return ids")
    out.put("def decode(l):", "    return ''.join([itos[i] for i in l])")
    out.put("n = len(data)", "train_data = data[:int(n*0.9)]", "val_data = data[int(n*0.9):]")
    out.put(f"enc = {enc}", "train_ids = encode(train_data)", "val_ids = encode(val_data)")
    out.put("print(f'train has {len(train_ids):,} tokens')", "print(decode(train_ids[:10]))")
    _sink(out, "train_ids", "train")
    _sink(out, "val_ids", "val")
    if out.maybe(0.5):
        out.put(
            "import pickle", "with open('meta.pkl', 'wb') as f:", "    pickle.dump({'stoi': stoi, 'itos': itos}, f)"
        )


def _documents(out: _Writer, enc: str, texts: dict[str, bytes]) -> None:
    """A list of documents, shuffled, cut in two, encoded."""
    kind = out.rng.randrange(3)
    if kind == 0:
        out.put(
            "docs = []",
            'for line in open("input.txt", encoding="utf-8"):',
            f"    docs.append({out.pick('line', 'line.strip()')})",
        )
    elif kind == 1:
        out.put('docs = [line.strip() for line in open("input.txt", encoding="utf-8")]')
    else:
        out.put("docs = []", "story = ''", 'for line in open("input.txt", encoding="utf-8"):')
        out.put(
            "    if not line.strip():",
            "        docs.append(story)",
            "        story = ''",
            "    else:",
            "        story += line",
        )
        out.put("if story:", "    docs.append(story)")
    shuffles = ("random.seed(1)\nrandom.shuffle(docs)", "random.Random(5).shuffle(docs)", "np.random.shuffle(docs)")
    if out.maybe(0.6):
        out.put(*out.rng.choice(shuffles).split("\n"))
    if out.maybe(0.2):
        out.put(
            out.pick(
                "docs.sort()",
                "docs.reverse()",
                "docs = docs[1:]",
                "docs.pop()" if out.maybe(0.3) else "print(docs[:1])",
            )
        )
    out.put("print(len(docs), docs[0] if docs else '')", f"enc = {enc}")
    if out.maybe(0.25):
        out.put(f"text = {out.pick(repr(chr(10)), repr('<|endoftext|>'), repr(''))}.join(docs)")
        _look(out, "text")
        out.put(f"ids = {_encode(out, 'text')}")
        _look_ids(out, "ids")
        _sink(out, "ids", "all")
        return
    out.put("cut = int(len(docs) * 0.9)")
    for part, of in (("train", "docs[:cut]"), ("val", "docs[cut:]")):
        out.put(f"{part}_ids = []", f"for doc in {of}:")
        out.indent = 1
        _grow(out, f"{part}_ids", _encode(out, "doc"))
        out.indent = 0
        _sink(out, f"{part}_ids", part)


def _files(out: _Writer, enc: str, texts: dict[str, bytes]) -> None:
    """Several files, one list for each split."""
    texts.setdefault("other.txt", b"the cat\nsat\n")
    out.put(f"enc = {enc}", "splits = {'train': ['input.txt'], 'val': ['other.txt']}")
    kind = out.rng.randrange(3)
    if kind == 0:
        out.put("for split, names in splits.items():", "    ids = []", "    for name in names:")
        out.put("        with open(name, encoding='utf-8') as f:", "            text = f.read()")
        out.indent = 2
        _grow(out, "ids", _encode(out, "text"))
        out.indent = 0
        out.put("    np.array(ids, dtype=np.uint16).tofile(f'{split}.bin')", "    print(split, len(ids))")
    elif kind == 1:
        out.put(
            "from collections import defaultdict", "tokens = defaultdict(list)", "for split, names in splits.items():"
        )
        out.put("    for name in names:", "        text = Path(name).read_text(encoding='utf-8')")
        out.put(f"        tokens[split].extend({_encode(out, 'text')})")
        out.put("for split, ids in tokens.items():", "    np.array(ids, dtype=np.uint16).tofile(f'{split}.bin')")
    else:
        out.put("tokens = {'train': [], 'val': []}", "for split in tokens:", "    for name in splits[split]:")
        out.put("        for line in open(name, encoding='utf-8'):")
        out.put(f"            tokens[split] += {_encode(out, 'line')}")
        out.put("    print(split, len(tokens[split]))")
        out.put(
            "for split in ('train', 'val'):", "    np.save(split + '.npy', np.array(tokens[split], dtype=np.uint32))"
        )


def _jsonl(out: _Writer, enc: str, texts: dict[str, bytes]) -> None:
    import json

    lines = [json.dumps({"text": t, "n": 1}) for t in texts["input.txt"].decode("utf-8", "replace").split("\n")]
    texts["data.jsonl"] = "\n".join(lines).encode() + b"\n"
    out.put(
        "data = []",
        'with open("data.jsonl", encoding="utf-8") as f:',
        "    for line in f:",
        "        data.append(json.loads(line)['text'])",
    )
    if out.maybe(0.5):
        out.put("text = '\\n'.join(data)")
        _look(out, "text")
        out.put(f"enc = {enc}", "n = len(text)", "train = text[:int(n * 0.9)]", f"ids = {_encode(out, 'train')}")
        _sink(out, "ids", "train")
        return
    head = ["for doc in data:"]
    _accumulate(out, enc, head, _encode(out, "doc"), texts)


def _lists(out: _Writer, enc: str, texts: dict[str, bytes]) -> None:
    """A list of lists of ids."""
    out.put(f"enc = {enc}", 'lines = open("input.txt", encoding="utf-8").read().split("\\n")')
    kind = out.rng.randrange(4)
    if kind == 0:
        out.put("docs = [enc.encode_ordinary(line) for line in lines]")
    elif kind == 1:
        out.put("docs = []", "for line in lines:", "    docs.append(enc.encode_ordinary(line))")
    elif kind == 2:
        out.put("docs = enc.encode_ordinary_batch(lines)")
    else:
        out.put(
            "docs = []",
            "for line in lines:",
            "    ids = enc.encode_ordinary(line)",
            "    ids.append(enc.eot_token)",
            "    docs.append(ids)",
        )
    out.put("print(len(docs), [len(d) for d in docs][:4], docs[0][:3])")
    end = out.rng.randrange(4)
    if end == 0:
        out.put("all_ids = np.concatenate(docs)", "print(all_ids.dtype)", "all_ids.astype(np.uint16).tofile('all.bin')")
    elif end == 1:
        out.put("flat = [t for d in docs for t in d]")
        _sink(out, "flat", "all")
    elif end == 2:
        out.put("from itertools import chain", "flat = list(chain.from_iterable(docs))")
        _sink(out, "flat", "all")
    else:
        out.put("flat = []", "for d in docs:", "    flat.extend(d)")
        if out.maybe(0.3):
            out.put("    d.append(5)")
        _sink(out, "flat", "all")


def _class(out: _Writer, enc: str, texts: dict[str, bytes]) -> None:
    out.put("class Prepare:", "    def __init__(self, path):", "        self.path = path", f"        self.enc = {enc}")
    out.put(
        f"        self.{out.pick('ids', 'tokens')} = []" if out.maybe(0.2) else "        self.ids = []",
        "        self.ids = []",
    )
    out.put(
        "    def read(self):",
        "        with open(self.path, encoding='utf-8') as f:",
        "            self.data = f.read()",
        "        return self.data",
    )
    out.put("    def run(self):", "        text = self.read()", "        n = int(len(self.data) * 0.9)")
    out.put(
        "        for part in (text[:n], text[n:]):",
        f"            self.ids{out.pick('.extend(', ' += (')}self.enc.encode_ordinary(part))",
    )
    if out.maybe(0.3):
        out.put("        return self.ids")
    else:
        out.put("        return np.array(self.ids, dtype=np.uint16)")
    out.put("    @property", "    def size(self):", "        return len(self.ids)")
    out.put(
        "job = Prepare('input.txt')", "found = job.run()", "print(job.size, found[:3])", "np.save('all.npy', found)"
    )
