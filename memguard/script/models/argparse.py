"""argparse: where a script gets its paths and sizes from."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.registry import function, method, nothing
from memguard.script.values import NOTHING, UNKNOWN, Constant, Instance, Module, Number, Path, Sequence

__all__: list[str] = []


@function("argparse.ArgumentParser", frees="words of the command line")
def parser(call: Call) -> Any:
    instance = Instance("parser", {})
    call.state.spaces.append(instance.attributes)
    return instance


@function("argparse.Namespace")
def namespace(call: Call) -> Any:
    if call.args:
        return UNKNOWN
    instance = Instance("namespace", dict(call.kwargs))
    call.state.spaces.append(instance.attributes)
    return instance


@method("parser", "parse_args parse_known_args")
def parse_args(call: Call) -> Any:
    found = Instance("namespace", dict(call.owner.attributes))
    call.state.spaces.append(found.attributes)
    return found if call.name == "parse_args" else Sequence([found, UNKNOWN])


@method("parser", "add_argument")
def add_argument(call: Call) -> Any:
    parser, kwargs = call.owner, call.kwargs
    names = [a.value for a in call.args if isinstance(a, Constant) and isinstance(a.value, str)]
    if not names:
        return NOTHING
    long = next((n for n in names if n.startswith("--")), names[0])
    dest = kwargs.get("dest")
    name = dest.value if isinstance(dest, Constant) else long.lstrip("-").replace("-", "_")
    default, kind = kwargs.get("default"), kwargs.get("type")
    nargs = kwargs.get("nargs")
    many = isinstance(nargs, (Constant, Number)) and not (isinstance(nargs, Constant) and nargs.value == "?")
    if isinstance(kwargs.get("action"), Constant):
        value: Any = UNKNOWN
    elif isinstance(default, (Number, Sequence)) or (isinstance(default, Constant) and default.value is None):
        value = default
    elif isinstance(kind, Module) and kind.name in ("builtins.int", "builtins.float", "builtins.bool"):
        value = UNKNOWN
    else:
        text = default.value if isinstance(default, Constant) and isinstance(default.value, str) else None
        text = default.text if isinstance(default, Path) else text
        value = Path(text, True, many, str(name))
        if kind is None and isinstance(text, str) and not many and _is_a_word(text):
            value = Constant(text)  # gpt2, train: an option's word, not a file
    if isinstance(value, Constant) and value.value is None and not isinstance(kind, Module):
        value = Path(None, True, many, str(name))
    parser.attributes[str(name)] = value
    return NOTHING


def _is_a_word(text: str) -> bool:
    return "." not in text and "/" not in text


@method("parser", "add_*")
def add_group(call: Call) -> Any:
    """Groups and subparsers: their arguments end up in the same namespace."""
    return call.owner


method("parser", "*")(nothing("a parser keeps what add_argument gets"))
method("namespace", "*")(nothing("an option whose name is not known: a word or a number"))
