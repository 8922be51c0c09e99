"""What a command line gives a script: paths, words and numbers for options, parameters and fields. Pure.

A path may be any file of the input; a default that is one is that file. A number that is typed is not known.
"""

from __future__ import annotations

import ast
from typing import Any

from memguard.script.interface import Interpreter
from memguard.script.source import dotted_name
from memguard.script.values import UNKNOWN, Class, Constant, Function, Instance, Number, Path, Sequence

__all__ = [
    "called_from_outside",
    "decorator_options",
    "option",
    "option_of_call",
    "parameter_options",
    "settings_of",
]

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


def option_of_call(args: list[Any], kwargs: dict[str, Any]) -> tuple[str, Any] | None:
    """(name, value) of add_argument("--path", default="a.txt"), click.option("--path", type=str)."""
    names = [a.value for a in args if isinstance(a, Constant) and isinstance(a.value, str)]
    if not names:
        return None
    plain = [n for n in names if not n.startswith("-")]
    long = next((n for n in names if n.startswith("--")), names[0])
    dest = kwargs.get("dest")
    given = dest.value if isinstance(dest, Constant) else plain[-1] if plain else long.lstrip("-").split("/")[0]
    name = str(given).replace("-", "_")
    kind = getattr(kwargs.get("type"), "name", "").rpartition(".")[2]
    if isinstance(kwargs.get("action"), Constant) or "is_flag" in kwargs:
        return name, UNKNOWN
    default = kwargs.get("default", UNKNOWN)
    if isinstance(default, Constant) and default.value is None and not kind:
        default = UNKNOWN
    return name, option(name, default, kind, many=_is_many(kwargs))


def _is_many(kwargs: dict[str, Any]) -> bool:
    nargs, multiple = kwargs.get("nargs"), kwargs.get("multiple")
    if isinstance(multiple, Constant) and multiple.value is True:
        return True
    return isinstance(nargs, (Constant, Number)) and not (isinstance(nargs, Constant) and nargs.value == "?")


def decorator_options(interpreter: Interpreter, node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, Any]:
    """What @click.option and @click.argument in front of a function give its parameters."""
    found: dict[str, Any] = {}
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and dotted_name(decorator).rpartition(".")[2] in ("option", "argument"):
            args = [interpreter.constant_value(argument) for argument in decorator.args]
            kwargs = {k.arg: interpreter.constant_value(k.value) for k in decorator.keywords if k.arg}
            named = option_of_call(args, kwargs)
            if named is not None:
                found[named[0].lower()] = named[1]
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
    return {
        parameter.arg: _typed(interpreter, parameter.arg, parameter.annotation, default)
        for parameter, default in pairs[bound:]
        if parameter.arg not in function.bound[1]
    }


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
