"""argparse and contextlib.ExitStack: where a script gets its paths and sizes from. Pure."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from memguard.script.interpreter import calls as script_calls
from memguard.script.values import (
    UNKNOWN,
    Constant,
    Instance,
    Module,
    Number,
    Path,
    Sequence,
)

if TYPE_CHECKING:
    from memguard.script.interpreter.expressions import Evaluator

__all__ = ["instance"]

Args = list[Any]
Kwargs = dict[str, Any]


def instance(reader: Evaluator, owner: Instance, name: str, args: Args, kwargs: Kwargs, node: ast.AST) -> Any:
    if owner.cls == "stack" and name == "enter_context":
        value = reader.enter_context(args[0] if args else UNKNOWN)
        owner.attributes[f"context{len(owner.attributes)}"] = value
        return value
    if owner.cls != "parser":
        return script_calls.unknown(reader, args, kwargs, node) if owner.cls != "namespace" else UNKNOWN
    if name == "add_argument":
        _add_argument(owner, args, kwargs)
        return UNKNOWN
    if name in ("parse_args", "parse_known_args"):
        namespace = Instance("namespace", dict(owner.attributes))
        reader.state.spaces.append(namespace.attributes)
        return namespace if name == "parse_args" else Sequence([namespace, UNKNOWN])
    return owner if name.startswith("add_") else UNKNOWN


def _add_argument(parser: Instance, args: Args, kwargs: Kwargs) -> None:
    names = [a.value for a in args if isinstance(a, Constant) and isinstance(a.value, str)]
    if not names:
        return
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


def _is_a_word(text: str) -> bool:
    return "." not in text and "/" not in text
