"""Functions of Python and of libraries: what they give, and what they do to what they get. Pure.

Everything that a function gets is a use of it (`numpy.array/0`); what it gives is known for those that stand here, and
nobody knows it for the rest. Only a function that is surely not looking inside, nor calling back, is in _QUIET.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from memguard.script.flow.interface import Flow
from memguard.script.flow.values import (
    INT,
    JSON,
    KEYS,
    MEMBERS,
    NONE,
    NUMBER,
    OTHER,
    STR,
    UNKNOWN,
    Entity,
    Value,
)

__all__ = ["call_library", "passes"]

# Functions that look at what they get and no further, or that hand it on to where it is followed.
_QUIET_BUILTINS = (
    *[
        "len",
        "isinstance",
        "type",
        "id",
        "bool",
        "iter",
        "next",
        "enumerate",
        "zip",
        "list",
        "tuple",
        "reversed",
        "map",
        "filter",
        "range",
        "dict",
    ],
    *["callable", "hasattr", "super"],
)
_QUIET = frozenset(f"builtins.{name}" for name in _QUIET_BUILTINS) | frozenset(
    (
        *("itertools.chain", "itertools.chain.from_iterable", "itertools.islice", "tqdm.tqdm", "tqdm.auto.tqdm"),
        *("functools.partial", "collections.defaultdict", "collections.deque", "multiprocessing.Pool"),
        *("concurrent.futures.as_completed", "tqdm.tqdm.write", "dataclasses.field"),
    )
)
_POOLS = frozenset(
    (
        *("multiprocessing.Pool", "multiprocessing.pool.Pool", "multiprocessing.pool.ThreadPool"),
        *("concurrent.futures.ProcessPoolExecutor", "concurrent.futures.ThreadPoolExecutor"),
        *("multiprocessing.get_context().Pool", "multiprocessing.Pool"),
    )
)
_TOKENIZERS: dict[str, str] = {
    **dict.fromkeys(
        ("AutoTokenizer.from_pretrained", "GPT2Tokenizer.from_pretrained", "GPT2TokenizerFast.from_pretrained"), "hf"
    ),
    **dict.fromkeys(("Tokenizer.from_file", "Tokenizer.from_pretrained", "ByteLevelBPETokenizer"), "tokenizers"),
    "SentencePieceProcessor": "sentencepiece",
}
_PASSING = ("numpy.", "torch.", "warnings.", "time.", "tqdm.", "gzip.", "memguard.", "tempfile.", "bz2.", "zipfile.")
_GIVES: dict[str, Entity] = {
    **dict.fromkeys(("len", "ord", "int", "hash", "id", "round"), INT),
    **dict.fromkeys(("str", "repr", "chr", "format", "hex", "input", "ascii", "bin"), STR),
    **dict.fromkeys(("print", "setattr", "delattr"), NONE),
    **dict.fromkeys(("isinstance", "bool", "float", "any", "all", "callable", "hasattr", "issubclass"), NUMBER),
}
_BY_LIBRARY: tuple[tuple[str, Entity], ...] = (
    *((f"os.path.{name}", STR) for name in ("join", "dirname", "abspath", "basename", "expanduser")),
    *((f"os.path.{name}", INT) for name in ("getsize",)),
    *((f"time.{name}", NUMBER) for name in ("time", "perf_counter", "monotonic")),
    *((name, JSON) for name in ("json.loads", "json.load", "orjson.loads", "ujson.loads")),
    *((name, STR) for name in ("json.dumps", "os.getcwd", "re.sub", "html.unescape", "unicodedata.normalize")),
    ("os.", OTHER),
    ("sys.exit", NONE),
    ("sys.argv", STR),
    ("random.randint", INT),
    ("random.random", NUMBER),
    ("random.seed", NONE),
    ("random.shuffle", NONE),
    ("random.Random().shuffle", NONE),
    ("numpy.random.shuffle", NONE),
    ("numpy.random.seed", NONE),
    ("pickle.dump", NONE),
    ("json.dump", NONE),
    ("numpy.save", NONE),
    ("logging.", OTHER),
)
_ARRAYS = ("numpy.",)
Handler = Callable[[Flow, str, list[Value], dict[str, Value], ast.AST], Value]


def call_library(
    flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST, nodes: list[ast.AST]
) -> Value:
    """What the function `name` (dotted, builtins. in front of the builtin ones) gives."""
    name = "builtins.open" if name == "io.open" else name
    roles = [*map(str, range(len(args))), *kwargs]
    short = name.removeprefix("builtins.")
    short = name if "." in short and name.startswith("builtins.") else short  # list.append is no method of a list here
    for number, values in enumerate((*args, *kwargs.values())):
        at = nodes[number] if number < len(nodes) else node
        (flow.use if name in _QUIET else flow.escape)(values, f"{short}/{roles[number]}", node, at)
    handler = _HANDLERS.get(name)
    if handler is not None:
        return handler(flow, name, args, kwargs, node)
    if name in _POOLS or name.endswith(".Pool"):
        return frozenset((flow.thing("pool", node),))
    for ending, kind in _TOKENIZERS.items():
        if name.endswith(f".{ending}"):
            return frozenset((flow.thing("tokenizer", node, name=kind),))
    if name.startswith("builtins.") and short in _GIVES:
        return frozenset((_GIVES[short],))
    for start, given in _BY_LIBRARY:
        if name == start or (start.endswith(".") and name.startswith(start)):
            return frozenset((given,))
    if name.startswith("numpy.random.") and name.endswith(("default_rng", "RandomState")):
        return frozenset((flow.module_thing(f"{name}()"),))
    if name == "random.Random":
        return frozenset((flow.module_thing(f"{name}()"),))
    if name == "array.array":
        return frozenset((flow.thing("array", node),))
    if name.startswith(_ARRAYS):
        return frozenset((flow.thing("array", node),))
    return frozenset((UNKNOWN,))


def passes(node: ast.AST) -> bool:
    """Whether a context manager that is nothing else here lets exceptions pass: contextlib.suppress does not."""
    called = getattr(node, "func", node)
    words = ast.unparse(called)
    return words.startswith(_PASSING) or words.split(".")[-1] in ("Pool", "open", "tqdm", "no_grad", "errstate", "lock")


# -- going round ------------------------------------------------------------------------------------------------------


def _iterator(flow: Flow, node: ast.AST, members: Value | set[Entity], made: str = "") -> Value:
    found = flow.thing("iterator", node, made)
    flow.put(found, MEMBERS, members)
    return frozenset((found,))


def _list(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    if name.endswith("tuple"):
        thing = flow.thing("tuple", node)
        flow.put(thing, MEMBERS, flow.members(args[0]) if args else ())
        return frozenset((thing,))
    found = flow.list_of(node, f"{name.removeprefix('builtins.')}()", flow.members(args[0]) if args else ())
    if args:
        flow.made_of(found, args[0])
    for key in ("key",):
        if key in kwargs:
            flow.call_value(kwargs[key], [flow.members(args[0]) if args else frozenset()], {}, node, [])
    return frozenset((found,))


def _set(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    thing = flow.thing("set", node)
    flow.put(thing, KEYS, flow.members(args[0]) if args else ())
    return frozenset((thing,))


def _dict(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    thing = flow.thing("dict", node)
    for values in args[:1]:
        for other in values:
            if other.kind == "dict":
                for field, inner in list(other.fields.items()):
                    flow.put(thing, field, inner)
            else:
                pairs = flow.members(frozenset((other,)))
                for pair in pairs:
                    flow.put(thing, KEYS, pair.fields.get("[0]", set()) | pair.fields.get(MEMBERS, set()))
                    flow.put(thing, MEMBERS, pair.fields.get("[1]", set()) | pair.fields.get(MEMBERS, set()))
                    if pair.kind != "tuple":
                        flow.put(thing, MEMBERS, (UNKNOWN,))
    for key, values in kwargs.items():
        flow.put(thing, f"[{key!r}]" if key != "**" else MEMBERS, values)
        flow.put(thing, KEYS, (STR,))
    return frozenset((thing,))


def _defaultdict(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    """defaultdict(list): one list for all keys, which is made at the place of the name `list`."""
    thing = flow.thing("dict", node, "defaultdict")
    for made in _made_by(flow, args[0] if args else frozenset(), node, 0):
        flow.put(thing, MEMBERS, (made,))
    flow.put(thing, KEYS, (STR, UNKNOWN))
    return frozenset((thing,))


def _made_by(flow: Flow, factories: Value, node: ast.AST, place: int | str) -> Value:
    at: ast.AST = node
    if isinstance(node, ast.Call):
        named = [k.value for k in node.keywords if k.arg == place]
        at = named[0] if named else node.args[place] if isinstance(place, int) and node.args else node
    if all(thing.name == "builtins.list" for thing in factories) and factories:
        return frozenset((flow.list_of(at, "factory"),))
    return flow.call_value(factories, [], {}, node, [])


def _field(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    if "default_factory" not in kwargs:
        return kwargs.get("default", frozenset((OTHER,)))
    thing = flow.thing("field", node)
    flow.put(thing, MEMBERS, _made_by(flow, kwargs["default_factory"], node, "default_factory"))
    return frozenset((thing,))


def _through(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    """iter(x), reversed(x), tqdm(x), islice(x, n), as_completed(x): the members of x."""
    if name == "builtins.iter" and len(args) == 2:
        return _iterator(flow, node, flow.call_value(args[0], [], {}, node, []))
    values = args[0] if args else kwargs.get("iterable", frozenset())
    return _iterator(flow, node, flow.members(values))


def _next(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    found = set(flow.members(args[0])) if args else set()
    return frozenset(found | (set(args[1]) if len(args) > 1 else set()))


def _extreme(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    values = frozenset().union(*args) if len(args) > 1 else flow.members(args[0]) if args else frozenset((UNKNOWN,))
    if "key" in kwargs:
        flow.call_value(kwargs["key"], [values], {}, node, [])
    return values | kwargs.get("default", frozenset())


def _sum(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    members = flow.members(args[0]) if args else frozenset()
    kinds = {thing.kind for thing in members}
    if kinds <= {"int"}:
        return frozenset((INT,))
    if "list" in kinds:
        return frozenset((flow.list_of(node, "sum()", flow.members(members)), UNKNOWN))
    return frozenset((NUMBER if kinds <= {"int", "number"} else UNKNOWN,))


def _enumerate(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    pair = flow.thing("tuple", node, "pair")
    flow.put(pair, "[0]", (INT,))
    flow.put(pair, "[1]", flow.members(args[0]) if args else ())
    return _iterator(flow, node, frozenset((pair,)))


def _zip(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    group = flow.thing("tuple", node, "group")
    for number, values in enumerate(args):
        flow.put(group, f"[{number}]", flow.members(values))
    return _iterator(flow, node, frozenset((group,)))


def _map(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    """The call happens when somebody iterates: what it changes is followed as if at once."""
    if len(args) < 2:
        return frozenset((UNKNOWN,))
    given = [flow.members(values) for values in args[1:]]
    if name == "builtins.filter":
        flow.call_value(args[0], given, {}, node, [])
        return _iterator(flow, node, given[0])
    return _iterator(flow, node, flow.call_value(args[0], given, {}, node, []))


def _chain(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    found: set[Entity] = set()
    for values in args:
        inner = flow.members(values)
        if name.endswith("from_iterable"):
            flow.use(inner, "iterate", node)
            inner = flow.members(inner)
        found |= inner
    return _iterator(flow, node, found)


def _range(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    return _iterator(flow, node, frozenset((INT,)))


# -- objects ----------------------------------------------------------------------------------------------------------


def _open(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    return frozenset((flow.open_file(node, args, kwargs, "open"),))


def _encoder(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    return frozenset((flow.thing("encoder", node, name.rpartition(".")[2]),))


def _path(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    return frozenset((flow.thing("path", node),))


def _partial(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    found: set[Entity] = set()
    for function in args[0] if args else ():
        thing = flow.thing("partial", node, tag=str(id(function)))
        thing.owner, thing.scope = function, (args[1:], kwargs)
        for values in (*args[1:], *kwargs.values()):
            flow.put(thing, MEMBERS, values)
        found.add(thing)
    return frozenset(found)


def _frame(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    return frozenset((flow.thing("frame", node, name.rpartition(".")[2]),))


def _dataset(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    return frozenset((flow.thing("dataset", node, name.rpartition(".")[2]),))


def _getattr(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    named = node.args[1] if isinstance(node, ast.Call) and len(node.args) > 1 else None
    if not (isinstance(named, ast.Constant) and isinstance(named.value, str)):
        flow.close("getattr() by a name that is not known", node)
        return frozenset((UNKNOWN,))
    found = {value for owner in args[0] for value in flow.attribute(owner, named.value, node)}
    return frozenset(found).union(*args[2:])


def _rows(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    return _iterator(flow, node, frozenset((JSON,)), "rows")


def _super(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    """The instance itself: a method that it has of its own is called too, which is one use more."""
    found: set[Entity] = set()
    for function in flow.inside[-1:]:
        spec = getattr(function, "args", None)
        first = [p.arg for p in (*spec.posonlyargs, *spec.args)][:1] if spec else []
        for name_of_self in first:
            found |= flow.lookup(name_of_self)
    return frozenset(found)


def _names(flow: Flow, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
    return frozenset((flow.list_of(node, name, (STR,)),))


_HANDLERS: dict[str, Handler] = {
    "builtins.list": _list,
    "builtins.tuple": _list,
    "builtins.sorted": _list,
    "collections.deque": _list,
    "builtins.set": _set,
    "builtins.frozenset": _set,
    "collections.Counter": _set,
    "builtins.dict": _dict,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _defaultdict,
    "dataclasses.field": _field,
    **dict.fromkeys(
        (
            *("builtins.iter", "builtins.reversed", "tqdm.tqdm", "tqdm.auto.tqdm", "itertools.islice"),
            *("concurrent.futures.as_completed",),
        ),
        _through,
    ),
    "builtins.next": _next,
    "builtins.min": _extreme,
    "builtins.max": _extreme,
    "builtins.sum": _sum,
    "builtins.enumerate": _enumerate,
    "builtins.zip": _zip,
    "builtins.map": _map,
    "builtins.filter": _map,
    "itertools.chain": _chain,
    "itertools.chain.from_iterable": _chain,
    "builtins.range": _range,
    "tqdm.trange": _range,
    "builtins.open": _open,
    "tiktoken.get_encoding": _encoder,
    "tiktoken.encoding_for_model": _encoder,
    "pathlib.Path": _path,
    "pathlib.PurePath": _path,
    "functools.partial": _partial,
    "pandas.read_parquet": _frame,
    "datasets.Dataset.from_dict": _dataset,
    "builtins.getattr": _getattr,
    "builtins.super": _super,
    "csv.reader": _rows,
    "csv.DictReader": _rows,
    "glob.glob": _names,
    "os.listdir": _names,
}
