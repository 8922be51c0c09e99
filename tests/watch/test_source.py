"""What a line fills, by its text."""

from __future__ import annotations

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from memguard.watch.agents import source

FILLED = {
    "train_ids = enc.encode_ordinary(train_data)": "train_ids",
    "self.buffer += ids": "self.buffer",
    "ids: list[int] = encode(text)": "ids",
    "x, y = split(data)": "x, y",
    "df['ids'] = df['text'].apply(encode)": "df['ids']",
    "all_tokens.extend(enc.encode_ordinary(chunk))": "all_tokens",
    "buckets['val' if n else 'train'].extend(encode(line))": "buckets[…]",
    "parts.append(np.array(encode(text), dtype=np.uint16))": "parts",
    "for batch in pq.ParquetFile(path).iter_batches(): pass": "batch",
    "with open(path) as file: pass": "file",
    "import sys, numpy as np; ids = np.arange(n)": "ids",
    "if text := read(): pass": "text",
    "local_helpers.write(ids)": "",
    "json.dump(ids, file)": "",
    "best = Counter(zip(ids, ids[1:])).most_common(1)[0]": "ids",
    "n = len(tokens)": "tokens",
}
GIVEN = {
    "json.dump(ids, file)": "ids",
    "write(os.path.join(output, 'a.bin'), buffer[:count].tolist())": "buffer",
    "np.array(ids, dtype=np.uint16).tofile(path)": "ids",
    "tok.train([path], trainers.BpeTrainer(vocab_size=8000))": "tok",
    "pass": "",
}
HEAD = "import json, os, local_helpers, numpy as np\nfrom tokenizers import trainers\n"


def at(code: str) -> tuple[object, frozenset[str]]:
    tree = source.parse(HEAD + code)
    assert tree is not None
    return source.statement_at(tree, 3), source.imported(tree)


@pytest.mark.parametrize("code", FILLED)
def test_what_a_statement_fills(code: str) -> None:
    line = code.replace(": pass", ":\n    pass")
    assert source.target(*at(line)) == FILLED[code]


@pytest.mark.parametrize("code", GIVEN)
def test_what_a_statement_hands_over(code: str) -> None:
    assert source.given(*at(code)) == GIVEN[code]


SCRIPT = """\
def chunks(path):
    with open(path) as file:
        while chunk := file.read(9):
            yield chunk


def encode(text):
    return [
        stoi[c]
        for c in text
    ]


rows = []
for chunk in chunks("a"):
    ids = encode(chunk)
    if ids:
        rows.append(
            ids
        )
    time.sleep(1)
print(rows)
"""


def test_lines_of_a_script() -> None:
    tree = source.parse(SCRIPT)
    assert tree is not None
    assert [source.is_generator(tree, line) for line in (3, 4, 8, 15)] == [True, True, False, False]
    assert source.target(source.statement_at(tree, 10)) == source.RETURN
    assert source.filling_line(tree, 20, ["rows"]) == 18
    assert source.filling_line(tree, 20, ["ids"]) == 16
    assert source.filling_line(tree, 22, ["rows"]) is None, "no loop there"
    assert source.mentions(source.statement_at(tree, 19), ["self.rows"])
    assert not source.mentions(source.statement_at(tree, 15), ["rows"]), "the head of the loop alone"
    assert source.comprehends(source.statement_at(tree, 9)) and not source.comprehends(source.statement_at(tree, 16))
    assert source.grows(source.statement_at(tree, 19), ["w.rows", "x"])
    assert source.filling_line(tree, 20, ["ids"], growing_only=True) is None, "replaced in each turn"
    assert source.statement_at(tree, 99) is None


@pytest.mark.parametrize("code", ["x += y", "x.ids[n] = y", "x['a'] = y", "x = np.append(x, y)", "d.x.add(y)"])
def test_what_grows(code: str) -> None:
    assert source.grows(at(code)[0], ["x"])


@pytest.mark.parametrize("code", ["x = y", "y = f(x)", "y.append(x)", "x: int = 3", "f(x)", "x: list"])
def test_what_does_not(code: str) -> None:
    assert not source.grows(at(code)[0], ["x"])


def test_a_part_of_a_long_file_has_the_same_lines() -> None:
    for line in range(1, SCRIPT.count("\n") + 1):
        whole, part = source.parse(SCRIPT), source.parse(source.block(SCRIPT, line))
        assert part is not None
        found = [source.statement_at(tree, line) for tree in (whole, part)]
        assert len({(one and (one.lineno, one.end_lineno, type(one).__name__)) for one in found}) == 1, line
    assert source.block("", 3) == ""


@pytest.mark.parametrize("text", ["def (", "\0", "x = '\\d'", "(" * 500, "print 1"])
def test_what_is_no_python_is_nothing_and_no_warning(text: str) -> None:
    tree = source.parse(text)
    assert (tree is None) is (text != "x = '\\d'")


@examples(st.sampled_from([*FILLED, *GIVEN, SCRIPT]), st.integers(-1, 30), st.text(max_size=5))
def test_any_line_and_name(code: str, line: int, name: str) -> None:
    tree = source.parse(code.replace(": pass", ":\n    pass"))
    statement = source.statement_at(tree, line)
    assert isinstance(source.target(statement), str) and isinstance(source.given(statement), str)
    found = source.filling_line(tree, line, [name])
    assert found is None or 0 < found <= 30
