"""Functions that a decorator makes the commands of a command line: click's, typer's, hydra's. Pure.

@click.command()                 @app.command()                 @hydra.main(config_path="conf")
@click.option("--path")          def main(path: str): …         def main(cfg): …
def main(path): …                app()                          main()
"""

from __future__ import annotations

import ast

from memguard.script import registry
from memguard.script.interface import Call, Interpreter
from memguard.script.operations.options import decorator_options, parameter_options
from memguard.script.source import dotted_name
from memguard.script.values import Function, Instance, Module

__all__ = ["add_command"]

_CLICK = frozenset(
    f"{library}.{name}" for library in ("click", "rich_click", "asyncclick") for name in ("command", "group")
)
_HYDRA = frozenset(("hydra.main", "hydra_zen.main"))
_SETTINGS = frozenset(("pyrallis.wrap", "draccus.wrap", "simple_parsing.wrap", "configargparse.wrap"))


def add_command(interpreter: Interpreter, function: Function, decorator: ast.expr) -> None:
    """Gives `function` the options that it is called with, where `decorator` makes it a command."""
    root, _, rest = dotted_name(decorator).partition(".")
    owner = interpreter.constant_value(ast.copy_location(ast.Name(root, ast.Load()), decorator))
    node = function.node
    if isinstance(node, ast.Lambda):
        return
    if isinstance(owner, Instance) and owner.cls == "app":
        registry.call_method(Call(interpreter, [function], {}, decorator, "command", owner))
    elif isinstance(owner, Function) and owner.options is not None and rest in ("command", "group"):  # of a group
        function.options = decorator_options(interpreter, node)
        owner.commands.append(function)
    elif isinstance(owner, Module):
        name = f"{owner.name}.{rest}" if rest else owner.name
        if name in _CLICK:
            function.options = decorator_options(interpreter, node)
        elif name in _HYDRA:
            function.options = {p.arg: Instance("namespace", {}) for p in node.args.args[:1]}
        elif name in _SETTINGS:
            function.options = parameter_options(interpreter, function)
