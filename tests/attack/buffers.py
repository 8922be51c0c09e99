"""What an attack program fills, how it fills it, how its callback takes what is there, and where that goes.

Texts are templates: `$tokens`, `$used`, `$train`, `$val`, `$shard` are the program's state, wherever it lives, `$x` is
where new values come from. A take leaves the values in `ids`; `@give` is where they go, at the end unless it says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    start: str
    fills: dict[str, str]
    takes: dict[str, str]
    size: str = "len($tokens)"
    names: tuple[str, ...] = ("tokens",)
    ordered: bool = True
    alone: frozenset[str] = field(default_factory=frozenset)  # fills that several threads may do without a lock
    sinks: tuple[str, ...] = ()  # empty: any


_LIST_TAKES = {
    "give, clear": "ids = $tokens\n@give\n$tokens.clear()",
    "copy, clear": "ids = $tokens.copy()\n$tokens.clear()",
    "rebind": "ids = $tokens\n$tokens = []",
    "swap": "ids, $tokens = $tokens, []",
    "slice delete": "ids = $tokens[:]\ndel $tokens[:]",
    "slice assign": "ids = list($tokens)\n$tokens[:] = []",
    "count": "many = len($tokens)\nids = $tokens[:many]\n@give\ndel $tokens[:many]",
    "half": "many = (len($tokens) + 1) // 2\nids = $tokens[:many]\ndel $tokens[:many]",
    "pop": "ids = []\nwhile $tokens:\n    ids.append($tokens.pop())\nids.reverse()",
}
_FLAT = "ids = [token for part in ids for token in part]"
_DICT_TAKES = {
    "copy, clear": "ids = [token for part in $tokens.values() for token in part]\n$tokens.clear()",
    "rebind": "ids = [token for part in $tokens.values() for token in part]\n$tokens = type($tokens)($of)",
    "pop": "ids = []\nwhile $tokens:\n    ids.extend($tokens.popitem()[1])",
    "inner": "ids = []\nfor part in $tokens.values():\n    ids.extend(part)\n    part.clear()",
}
_DICT_SIZE = "sum(map(len, $tokens.values()))"
_PACKED = 'array.array("I", $x).tobytes()'


def _flat(take: str) -> str:
    return take.replace("@give", _FLAT + "\n@give") if "@give" in take else take + "\n" + _FLAT


def _dict_takes(of: str) -> dict[str, str]:
    return {name: text.replace("$of", of) for name, text in _DICT_TAKES.items()}


KINDS: dict[str, Kind] = {
    "list": Kind(
        "$tokens = []",
        {
            "extend": "$tokens.extend($x)",
            "iadd": "$tokens += $x",
            "append": "for token in $x:\n    $tokens.append(token)",
            "add": "$tokens = $tokens + $x",
            "star": "$tokens = [*$tokens, *$x]",
            "slice": "$tokens[len($tokens):] = $x",
            "comprehension": "$tokens += [token for token in $x]",
            "generator": "$tokens.extend(token for token in $x)",
            "chain": "$tokens.extend(itertools.chain($x, ()))",
            "walrus": "if (more := $x):\n    $tokens.extend(more)",
            "pieces": "more = $x\nfor at in range(0, len(more), 7):\n    $tokens += more[at:at + 7]",
            "lines": "$tokens.extend(\n    list(\n        $x\n    )\n)",
        },
        _LIST_TAKES,
        alone=frozenset({"extend", "iadd", "append"}),
    ),
    "list of lists": Kind(
        "$tokens = []",
        {"append": "$tokens.append($x)", "iadd": "$tokens += [$x]", "extend": "$tokens.extend([$x])"},
        {name: _flat(text) for name, text in _LIST_TAKES.items()},
        alone=frozenset({"append", "extend"}),
    ),
    "dict": Kind(
        "$tokens = {}",
        {
            "setdefault": '$tokens.setdefault("train", []).extend($x)',
            "two keys": "more = $x\n$tokens.setdefault(more[0] % 3, []).extend(more)",
            "iadd": '$tokens.setdefault("train", [])\n$tokens["train"] += $x',
            "update": "more = $x\n$tokens.update({more[0]: more})",
        },
        _dict_takes(""),
        _DICT_SIZE,
        ordered=False,
        alone=frozenset({"setdefault", "two keys", "update"}),
    ),
    "defaultdict": Kind(
        "$tokens = collections.defaultdict(list)",
        {
            "extend": '$tokens["train"].extend($x)',
            "iadd": '$tokens["train"] += $x',
            "two keys": "more = $x\n$tokens[sum(more[:1]) % 2].extend(more)",
        },
        _dict_takes("list"),
        _DICT_SIZE,
        ordered=False,
        alone=frozenset({"extend", "two keys"}),
    ),
    "array": Kind(
        '$tokens = array.array("I")',
        {
            "extend": '$tokens.extend(array.array("I", $x))',
            "fromlist": "$tokens.fromlist($x)",
            "iadd": '$tokens += array.array("I", $x)',
            "append": "for token in $x:\n    $tokens.append(token)",
        },
        {
            "slice delete": "ids = $tokens[:]\ndel $tokens[:]",
            "give, delete": "ids = $tokens\n@give\ndel $tokens[:]",
            "rebind": 'ids = $tokens\n$tokens = array.array("I")',
            "swap": 'ids, $tokens = $tokens, array.array("I")',
        },
        alone=frozenset({"extend", "fromlist"}),
    ),
    "numpy": Kind(
        "$tokens = np.empty(0, np.uint32)",
        {
            "concatenate": "$tokens = np.concatenate([$tokens, np.array($x, np.uint32)])",
            "append": "$tokens = np.append($tokens, np.array($x, np.uint32))",
            "hstack": "$tokens = np.hstack((\n    $tokens,\n    np.array($x, np.uint32),\n))",
        },
        {
            "rebind": "ids = $tokens\n$tokens = np.empty(0, np.uint32)",
            "swap": "ids, $tokens = $tokens, $tokens[:0]",
        },
    ),
    "position": Kind(
        "$tokens = np.empty(1 << 18, np.uint32)\n$used = 0",
        {
            "slice": "if $used + 5000 > len($tokens):\n    flush()\nmore = $x\n"
            "$tokens[$used:$used + len(more)] = more\n$used += len(more)",
            "one by one": "if $used + 5000 > len($tokens):\n    flush()\nfor token in $x:\n"
            "    $tokens[$used] = token\n    $used += 1",
        },
        {
            "copy": "ids = $tokens[:$used].copy()\n$used = 0",
            "rebind": "ids = $tokens[:$used]\n$tokens, $used = np.empty(1 << 18, np.uint32), 0",
        },
        "$used",
        ("tokens", "used"),
    ),
    "deque": Kind(
        "$tokens = collections.deque()",
        {
            "extend": "$tokens.extend($x)",
            "iadd": "$tokens += $x",
            "append": "for token in $x:\n    $tokens.append(token)",
        },
        {
            "copy, clear": "ids = list($tokens)\n$tokens.clear()",
            "pop": "ids = []\nwhile $tokens:\n    ids.append($tokens.popleft())",
            "rebind": "ids = $tokens\n$tokens = collections.deque()",
        },
        alone=frozenset({"extend", "append"}),
    ),
    "bytearray": Kind(
        "$tokens = bytearray()",
        {"extend": f"$tokens.extend({_PACKED})", "iadd": f"$tokens += {_PACKED}"},
        {
            "copy, clear": 'ids = array.array("I", bytes($tokens))\n$tokens.clear()',
            "slice delete": 'ids = array.array("I", bytes($tokens))\ndel $tokens[:]',
            "rebind": 'ids = array.array("I", bytes($tokens))\n$tokens = bytearray()',
        },
        alone=frozenset({"extend"}),
    ),
    "set": Kind(
        "$tokens = set()",
        {
            "update": "$tokens.update($x)",
            "ior": "$tokens |= set($x)",
            "add one": "for token in $x:\n    $tokens.add(token)",
        },
        {
            "copy, clear": "ids = $tokens.copy()\n$tokens.clear()",
            "rebind": "ids = $tokens\n$tokens = set()",
            "pop": "ids = []\nwhile $tokens:\n    ids.append($tokens.pop())",
        },
        ordered=False,
        alone=frozenset({"update", "add one"}),
    ),
    "train and val": Kind(
        "$train = []\n$val = []",
        {
            "either": "more = $x\nif more[0] % 3:\n    $train.extend(more)\nelse:\n    $val += more",
            "chosen": "more = $x\n($train if more[0] % 3 else $val).extend(more)",
            "cut": "more = $x\n$train += more[:15]\n$val.extend(more[15:])",
        },
        {
            "copy, clear": "ids = $train + $val\n$train.clear()\n$val.clear()",
            "rebind": "ids = [*$train, *$val]\n$train, $val = [], []",
            "slice delete": "ids = $train[:]\ndel $train[:]\nids += $val\ndel $val[:]",
        },
        "len($train) + len($val)",
        ("train", "val"),
        ordered=False,
        alone=frozenset({"chosen"}),
    ),
    "beside a file": Kind(
        "$tokens = []",
        {
            "either": "more = $x\nif more[0] % 3:\n    $tokens.extend(more)\nelse:\n    out.write(pack(more))",
            "both": "more = $x\nout.write(pack(more[:8]))\n$tokens.extend(more[8:])",
        },
        _LIST_TAKES,
        ordered=False,
        sinks=("file", "raw file", "gzip"),
    ),
}


@dataclass(frozen=True)
class Sink:
    start: str
    give: str  # `$given` is a copy where the callback empties the same object afterwards
    close: str
    values: str
    names: tuple[str, ...] = ()  # numbers that start at 0


_WRITE = 'written = []\n\n\ndef write(ids):\n    written.append(array.array("I", ids))\n\n'
_FILE_VALUES = '[array.array("I", open(OUT + "/out.bin", "rb").read())]'

SINKS: dict[str, Sink] = {
    "list": Sink(_WRITE, "write(ids)", "", "written"),
    "shards": Sink("shards = {}", "shards[$shard] = list(ids)\n$shard += 1", "", "shards.values()", ("shard",)),
    "file": Sink('out = open(OUT + "/out.bin", "wb")', "out.write(pack(ids))", "out.close()", _FILE_VALUES),
    "raw file": Sink('out = open(OUT + "/out.bin", "wb", 0)', "out.write(pack(ids))", "out.close()", _FILE_VALUES),
    "gzip": Sink(
        'out = gzip.open(OUT + "/out.gz", "wb", 1)',
        "out.write(pack(ids))",
        "out.close()",
        '[array.array("I", gzip.open(OUT + "/out.gz").read())]',
    ),
    "queue": Sink(
        _WRITE + "\ntodo = queue.Queue(4)\n\n\ndef writer():\n    while (ids := todo.get()) is not None:\n"
        "        write(ids)\n\n\nwriting = threading.Thread(target=writer)\nwriting.start()",
        "todo.put($given)",
        "todo.put(None)\nwriting.join()",
        "written",
    ),
    "executor": Sink(
        _WRITE + "\npool_of_one, jobs = concurrent.futures.ThreadPoolExecutor(1), []",
        "jobs.append(pool_of_one.submit(write, $given))",
        "pool_of_one.shutdown()\n[job.result() for job in jobs]",
        "written",
    ),
}
