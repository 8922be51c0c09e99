"""Command lines made of functions and classes: fire, typer, click, jsonargparse, tyro, hydra, absl. A function that
one of them gets is called with what is typed; of several commands each is read.
"""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.options import called_from_outside, settings_of
from memguard.script.registry import function, method, nothing
from memguard.script.values import NOTHING, UNKNOWN, Choice, Class, Constant, Function, Instance, Method, Sequence

__all__: list[str] = []


@function("fire.Fire jsonargparse.CLI jsonargparse.auto_cli defopt.run plac.call clize.run argh.dispatch_command")
@function("typer.run tyro.cli cyclopts.run simple_parsing.parse pyrallis.parse draccus.parse chz.entrypoint")
@function("jsonargparse.auto_parser radicli.run argbind.parse_args click.run")
def run(call: Call) -> Any:
    """fire.Fire(main), CLI(main), typer.run(main), tyro.cli(Settings)"""
    given = call.arg(0, "component", call.arg(0, "components", call.kwargs.get("config_class")))
    if given is UNKNOWN or given is None:  # all that the module has
        module = call.state.frame.scopes[-1]
        own = [value for value in module.values() if isinstance(value, Function)]
        given = Choice(own)
    return _run(call, given)


def _run(call: Call, given: Any) -> Any:
    if isinstance(given, (Choice, Sequence)):
        if any(not isinstance(item, (Function, Class, Choice, Sequence)) for item in given.items):
            return UNKNOWN
        found = [_run(call, item) for item in given.items]
        return UNKNOWN if UNKNOWN in found else found[0] if len(found) == 1 else NOTHING
    if isinstance(given, Class) and not given.dataclass and call.name.startswith(("fire.", "jsonargparse.")):
        made = settings_of(call.interpreter, given, call.node)
        for name in given.scope:  # each command
            if not name.startswith("_"):
                bound = call.interpreter.attribute(made, name, call.node)
                if isinstance(bound, Function):
                    called_from_outside(call.interpreter, bound, call.node)
        return made
    if isinstance(given, (Function, Class)):
        return called_from_outside(call.interpreter, given, call.node)
    return UNKNOWN


@function("absl.app.run tensorflow.app.run")
def run_main(call: Call) -> Any:
    """app.run(main): main(argv)"""
    main = call.arg(0, "main")
    return call.interpreter.call(main, [NOTHING], {}, call.node) if isinstance(main, Function) else UNKNOWN


# -- typer, cyclopts: an app that commands are added to ---------------------------------------------------------------


@function("typer.Typer cyclopts.App rich_typer.Typer click.Group", frees="words of the command line")
def app(call: Call) -> Any:
    made = Instance("app", {"commands": Sequence([], mutable=True)})
    call.state.spaces.append(made.attributes)
    return made


@method("app", "command callback default")
def command(call: Call) -> Any:
    """@app.command() def main(path: str): …"""
    for given in call.args:
        if isinstance(given, Function):
            call.owner.attributes["commands"].items.append(given)
            return given
    return Method(call.owner, "command")


@method("app", "add_typer add_command")
def add_app(call: Call) -> Any:
    call.owner.attributes["commands"].items.append(call.arg(0))
    return NOTHING


@method("app", "__call__ meta")
def run_app(call: Call) -> Any:
    for given in list(call.owner.attributes["commands"].items):
        if isinstance(given, Function):
            called_from_outside(call.interpreter, given, call.node)
        elif isinstance(given, Instance) and given is not call.owner:
            call.interpreter.call(given, [], {}, call.node)
    return NOTHING


method("app", "*")(nothing("a command line keeps its commands"))


# -- dataclasses as settings ------------------------------------------------------------------------------------------


@function(
    "transformers.HfArgumentParser transformers.hf_argparser.HfArgumentParser trl.TrlParser",
    frees="words of the command line",
)
def settings_parser(call: Call) -> Any:
    given = call.arg(0, "dataclass_types")
    classes = given.items if isinstance(given, Sequence) else [given]
    made = [settings_of(call.interpreter, cls, call.node) if isinstance(cls, Class) else NOTHING for cls in classes]
    return Instance("settings", {"all": Sequence(made)})


@method("settings", "parse_*")
def parsed(call: Call) -> Any:
    return call.owner.attributes["all"]


method("settings", "*")(nothing("words of the command line"))


@function("hydra.compose", frees="settings")
def settings(call: Call) -> Any:
    return Instance("namespace", {})


@function("builtins.locals builtins.globals", frees="names")
def names(call: Call) -> Any:
    """globals()[sys.argv[1]](): one of the functions."""
    scope = call.state.frame.env if call.name.endswith("locals") else call.state.frame.scopes[-1]
    known = {name: value for name, value in scope.items() if isinstance(value, (Function, Class))}
    return Sequence(list(known.values()), [Constant(name) for name in known])
