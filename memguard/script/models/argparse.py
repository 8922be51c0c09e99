"""argparse: where a script gets its paths and sizes from."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.command_line import given_options
from memguard.script.operations.options import described_option, option_of_call
from memguard.script.registry import function, method, nothing
from memguard.script.values import NOTHING, UNKNOWN, Choice, Class, Constant, Function, Instance, Sequence

__all__: list[str] = []

_OPTIONS, _COMMANDS = "its options", "its sub-commands"  # no names that an option can have


@function("argparse.ArgumentParser", frees="words of the command line")
def parser(call: Call) -> Any:
    instance = Instance("parser", {_OPTIONS: Sequence([]), _COMMANDS: Sequence([])})
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
    attributes = dict(call.owner.attributes)
    options, commands = attributes.pop(_OPTIONS), attributes.pop(_COMMANDS)
    words = _words(call)
    if words is not None:
        absent = {o.name: Constant(None) for o in options.items if o.flags and o.takes and o.default is UNKNOWN}
        attributes |= absent | given_options(options.items, words, skip=commands.items)
    found = Instance("namespace", attributes)
    call.state.spaces.append(found.attributes)
    return found if call.name == "parse_args" else Sequence([found, UNKNOWN])


def _words(call: Call) -> tuple[str, ...] | None:
    """Those of parse_args(["--path", "a.txt"]); the script's own where it gets none."""
    given = call.arg(0, "args", None)
    if isinstance(given, Sequence) and all(isinstance(i, Constant) and isinstance(i.value, str) for i in given.items):
        return tuple(item.value for item in given.items)
    return call.state.words


@method("parser", "add_parser")
def add_parser(call: Call) -> Any:
    """A sub-command: its arguments end up in the same namespace."""
    name = call.text(0, "name")
    if name is not None:
        call.owner.attributes[_COMMANDS].items.append(name)
    return call.owner


@method("parser", "add_argument")
def add_argument(call: Call) -> Any:
    described = described_option(call.args, call.kwargs)
    if described is not None:
        call.owner.attributes[_OPTIONS].items.append(described)
    named = option_of_call(call.args, call.kwargs)
    if named is not None:
        name, value = named
        const = call.kwargs.get("const")
        if isinstance(const, (Function, Class)):  # action="store_const", const=count
            _choose(call.owner, name, const)
        else:
            call.owner.attributes.setdefault(name, value)
            if not isinstance(call.owner.attributes[name], (Function, Class, Choice)):
                call.owner.attributes[name] = value
    return NOTHING


@method("parser", "set_defaults")
def set_defaults(call: Call) -> Any:
    """parser.set_defaults(func=main): of several sub-commands each may be meant."""
    for name, value in call.kwargs.items():
        if isinstance(value, (Function, Class)):
            _choose(call.owner, name, value)
        else:
            call.owner.attributes[name] = value
    return NOTHING


def _choose(parser: Instance, name: str, value: Any) -> None:
    known = parser.attributes.get(name)
    if isinstance(known, Choice):
        known.items.append(value)
    else:
        parser.attributes[name] = Choice([*([known] if isinstance(known, (Function, Class)) else []), value])


@method("parser", "add_*")
def add_group(call: Call) -> Any:
    """Groups and subparsers: their arguments end up in the same namespace."""
    return call.owner


method("parser", "*")(nothing("a parser keeps what add_argument gets"))
method("namespace", "*")(nothing("an option whose name is not known: a word or a number"))
