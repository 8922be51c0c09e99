"""What a command line gives a script: paths, words and numbers for options, parameters and fields. Pure.

A path may be any file of the input; a default that is one is that file. A number that is typed is not known.
"""

from __future__ import annotations

import ast
from typing import Any

from memguard.script.interface import Interpreter
from memguard.script.operations.command_line import Option, given_options
from memguard.script.source import dotted_name
from memguard.script.values import UNKNOWN, Class, Constant, Function, Instance, Number, Path, Sequence

__all__ = [
    "called_from_outside",
    "decorator_options",
    "described_option",
    "option",
    "option_of_call",
    "parameter_options",
    "settings_of",
]

_FLAG_ACTIONS = frozenset(("store_true", "store_false"))
_NUMBERS = frozenset(("int", "float", "bool", "complex"))
_MANY = frozenset(("list", "List", "Sequence", "Iterable", "Tuple", "tuple", "Collection"))
_AROUND = frozenset(("Optional", "Annotated", "Union", "ClassVar"))


def option(name: str, default: Any = UNKNOWN, kind: str = "", *, many: bool = False) -> Any:
    """The value of an option: its default, or a path; `kind`: the name of its type, "" where it has none."""
    if isinstance(default, (Number, Sequence)) or (isinstance(default, Constant) and isinstance(default.value, bool)):
        return default
    if kind in _NUMBERS:
        return UNKNOWN
    if isinstance(default, Constant) and default.value is None and kind:
        return default
    text = default.value if isinstance(default, Constant) and isinstance(default.value, str) else None
    text = default.text if isinstance(default, Path) else text
    if not kind and text and not many and "." not in text and "/" not in text:
        return Constant(text)  # gpt2, train: an option's word, not a file
    return Path(text, True, many, name)


def described_option(args: list[Any], kwargs: dict[str, Any]) -> Option | None:
    """add_argument("--path", default="a.txt"), click.option("--path", type=str); None where it has no name."""
    names = [a.value for a in args if isinstance(a, Constant) and isinstance(a.value, str)]
    if not names:
        return None
    plain = [n for n in names if not n.startswith("-")]
    flags = tuple(flag for n in names if n.startswith("-") for flag in n.split("/"))
    long = next((n for n in flags if n.startswith("--")), names[0])
    dest = kwargs.get("dest")
    name = dest.value if isinstance(dest, Constant) else plain[-1] if plain else long.lstrip("-")
    kind = getattr(kwargs.get("type"), "name", "").rpartition(".")[2]
    action = getattr(kwargs.get("action"), "value", "" if "action" not in kwargs else "flag")
    default = kwargs.get("default", Constant(action == "store_false") if action in _FLAG_ACTIONS else UNKNOWN)
    many = _is_many(kwargs) or action in ("append", "extend")
    takes = 2 if many else 0 if "is_flag" in kwargs or action not in ("", "store") else 1
    return Option(str(name).replace("-", "_"), flags, takes, kind, default, positional=not flags)


def option_of_call(args: list[Any], kwargs: dict[str, Any]) -> tuple[str, Any] | None:
    """(name, value) of an option whose words are not known."""
    found = described_option(args, kwargs)
    if found is None:
        return None
    if found.takes == 0:
        return found.name, UNKNOWN
    default = found.default
    if isinstance(default, Constant) and default.value is None and not found.kind:
        default = UNKNOWN
    return found.name, option(found.name, default, found.kind, many=found.takes > 1)


def _is_many(kwargs: dict[str, Any]) -> bool:
    nargs, multiple = kwargs.get("nargs"), kwargs.get("multiple")
    if isinstance(multiple, Constant) and multiple.value is True:
        return True
    return isinstance(nargs, (Constant, Number)) and not (isinstance(nargs, Constant) and nargs.value == "?")


def decorator_options(interpreter: Interpreter, node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, Any]:
    """What @click.option and @click.argument in front of a function give its parameters."""
    found: dict[str, Any] = {}
    described: list[Option] = []
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and dotted_name(decorator).rpartition(".")[2] in ("option", "argument"):
            args = [interpreter.constant_value(argument) for argument in decorator.args]
            kwargs = {k.arg: interpreter.constant_value(k.value) for k in decorator.keywords if k.arg}
            named = option_of_call(args, kwargs)
            if named is not None:
                found[named[0].lower()] = named[1]
                described += [one] if (one := described_option(args, kwargs)) else []
    if interpreter.state.words is not None:
        # decorators are applied from the last to the first: arguments stand as they are written
        given = given_options(described, interpreter.state.words, skip=[node.name, node.name.replace("_", "-")])
        found |= {name.lower(): value for name, value in given.items()}
    return found


def called_from_outside(interpreter: Interpreter, function: Any, node: ast.AST) -> Any:
    """The result of a function or class of the script whose arguments come from the command line."""
    if isinstance(function, Function):
        return interpreter.call(function, [], parameter_options(interpreter, function), node)
    if isinstance(function, Class):
        return settings_of(interpreter, function, node)
    return interpreter.call(function, [], {}, node)


def parameter_options(interpreter: Interpreter, function: Function) -> dict[str, Any]:
    spec = function.node.args
    parameters = [*spec.posonlyargs, *spec.args]
    defaults: list[ast.expr | None] = [None] * (len(parameters) - len(spec.defaults)) + list(spec.defaults)
    pairs = [*zip(parameters, defaults, strict=True), *zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    if function.owner is not None:
        pairs = pairs[1:]
    bound = len(function.bound[0])
    pairs = [(parameter, default) for parameter, default in pairs[bound:] if parameter.arg not in function.bound[1]]
    found = {
        parameter.arg: _typed(interpreter, parameter.arg, parameter.annotation, default) for parameter, default in pairs
    }
    if interpreter.state.words is not None:
        described = [_parameter(interpreter, parameter, default) for parameter, default in pairs]
        name = getattr(function.node, "name", "")
        found |= given_options(described, interpreter.state.words, skip=[name, name.replace("_", "-")])
    return found


def _parameter(interpreter: Interpreter, parameter: ast.arg, default: ast.expr | None) -> Option:
    """fire, typer and jsonargparse: --name, or by its place."""
    kind, many, _ = _annotated(parameter.annotation)
    flags = (f"--{parameter.arg}", f"--{parameter.arg.replace('_', '-')}", f"--no-{parameter.arg.replace('_', '-')}")
    value = _default(interpreter, default)
    is_flag = kind == "bool" or (isinstance(value, Constant) and isinstance(value.value, bool))
    return Option(parameter.arg, flags, 0 if is_flag else 2 if many else 1, kind, value, positional=not is_flag)


def _typed(interpreter: Interpreter, name: str, annotation: ast.expr | None, default: ast.expr | None) -> Any:
    kind, many, node = _annotated(annotation)
    cls = UNKNOWN if node is None else interpreter.constant_value(node)
    if isinstance(cls, Class):
        return settings_of(interpreter, cls, node or cls.node)
    return option(name, _default(interpreter, default), kind, many=many)


def _default(interpreter: Interpreter, node: ast.expr | None) -> Any:
    """Also that of typer.Option("a.txt") and Field(default="a.txt")."""
    if isinstance(node, ast.Call):
        named = next((k.value for k in node.keywords if k.arg == "default"), None)
        node = named if named is not None else node.args[0] if node.args else None
    if node is None or (isinstance(node, ast.Constant) and node.value is ...):
        return UNKNOWN
    return interpreter.constant_value(node)


def _annotated(node: ast.expr | None) -> tuple[str, bool, ast.expr | None]:
    """(name of the type, whether there are many of it, its node): Optional[List[str]] is many str."""
    many = False
    for _ in range(8):
        if isinstance(node, ast.BinOp):  # str | None
            node = node.left
        elif isinstance(node, ast.Subscript):
            outer = dotted_name(node.value).rpartition(".")[2]
            many = many or outer in _MANY
            if outer not in _MANY and outer not in _AROUND:
                break
            inner = node.slice
            node = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
        else:
            break
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = dotted_name(node).rpartition(".")[2]
        return ("" if name in _MANY else name), many or name in _MANY, node
    return (node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""), many, None


def settings_of(interpreter: Interpreter, cls: Class, node: ast.AST) -> Any:
    """An instance of a class of settings, its fields from the command line."""
    if not cls.dataclass:
        method = cls.scope.get("__init__")
        if isinstance(method, Function):
            bound = Function(method.node, method.scopes, owner=Instance(cls, {}))
            return interpreter.call(cls, [], parameter_options(interpreter, bound), node)
    fields: dict[str, Any] = {}
    for base in (*cls.bases, cls):
        for statement in base.node.body if isinstance(base, Class) else ():
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                name = statement.target.id
                if statement.value is None or not isinstance(statement.value, ast.Call):
                    fields[name] = _typed(interpreter, name, statement.annotation, statement.value)
    made = interpreter.call(cls, [], fields if cls.dataclass else {}, node)
    if isinstance(made, Instance):
        for name, value in fields.items():
            made.attributes.setdefault(name, value)
    return made
