"""os.path, pathlib and glob: which files a script means. Nothing is looked up."""

from __future__ import annotations

import os.path as paths  # its string functions alone
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from memguard.script.interface import Call
from memguard.script.operations.inputs import joined_path, open_file, path_text, read_all
from memguard.script.registry import attribute, function, method, nothing
from memguard.script.values import NOTHING, Constant, Generator, Number, Path, Sequence, Symbol

__all__: list[str] = []


@function("os.path.join posixpath.join", frees="paths")
def join(call: Call) -> Any:
    return joined_path(call.args)


@function(
    "os.path.exists os.path.isfile os.path.isdir posixpath.exists posixpath.isfile posixpath.isdir", frees="a bool"
)
def exists(call: Call) -> Any:
    return Constant(True, assumed=True)


@function(
    "os.path.abspath os.path.realpath os.path.expanduser os.path.normpath os.path.expandvars "
    "posixpath.abspath posixpath.realpath posixpath.expanduser posixpath.normpath posixpath.expandvars"
)
def same_path(call: Call) -> Any:
    return call.arg(0)


@function(
    "os.path.dirname os.path.basename os.path.relpath posixpath.dirname posixpath.basename posixpath.relpath",
    frees="a path",
)
def part_of_path(call: Call) -> Any:
    name, text = call.name.rpartition(".")[2], path_text(call.arg(0))
    return Path(getattr(paths, name)(text) or ".") if text and name != "relpath" else Path()


@function("os.path.splitext posixpath.splitext os.path.split posixpath.split", frees="paths")
def split_path(call: Call) -> Any:
    name, text = call.name.rpartition(".")[2], path_text(call.arg(0))
    return Sequence([Path(part) for part in getattr(paths, name)(text)] if text else [Path(), Path()])


@function("os.path.getsize posixpath.getsize", frees="a number")
def size_of_file(call: Call) -> Any:
    return Number(0.0, Symbol("size of a file", None, "size"))


function("os.path.* posixpath.*")(nothing("a bool, a time or a short text"))


@function("pathlib.Path pathlib.PurePath pathlib.PosixPath", frees="paths")
def path(call: Call) -> Any:
    if not call.args:
        return Path(".")
    return call.args[0] if len(call.args) == 1 and isinstance(call.args[0], Path) else joined_path(call.args)


function("pathlib.Path.cwd pathlib.Path.home")(nothing("a directory", Path()))


@function("os.walk", frees="the path of a directory")
def walk(call: Call) -> Any:
    """(directory, directories in it, files in it) of each directory."""
    files = listing(call)

    def run(consume: Callable[[Any], None]) -> None:
        parts = Sequence([Path(None, files.argument), replace(files, text=None), replace(files, text=None)])
        call.interpreter.iterate_twice(call.node, lambda loop: parts, consume)

    return Generator(run, tuple(call.args))


@function("os.listdir os.scandir glob.glob glob.iglob", frees="the path of a directory")
def listing(call: Call) -> Any:
    """Many files."""
    first = call.arg(0, "", Path("."))
    text = path_text(first)
    if text:
        call.state.inputs.setdefault(text)
    return Path(text or None, isinstance(first, Path) and first.argument, True, getattr(first, "key", ""))


# -- pathlib.Path -----------------------------------------------------------------------------------------------------


@attribute(Path, "parent")
def parent(call: Call) -> Any:
    owner = call.owner
    return replace(owner, text=paths.dirname(owner.text) or ".") if owner.text else Path(argument=owner.argument)


@attribute(Path, "stem name suffix")
def name_of_path(call: Call) -> Any:
    """The name of one of many files opens no more than one of them."""
    return Path(paths.basename(call.owner.text)) if call.owner.text else Path(windows=call.owner.windows)


@attribute(Path, "path")
def path_of_entry(call: Call) -> Any:
    """Of what os.scandir gives."""
    return call.owner


@method(Path, "open")
def open_path(call: Call) -> Any:
    return open_file(call.interpreter, call.owner, call.arg(0, "mode", None))


@method(Path, "read_text read_bytes")
def read_path(call: Call) -> Any:
    mode = Constant("rb" if call.name == "read_bytes" else "r")
    return read_all(call.interpreter, open_file(call.interpreter, call.owner, mode), call.node)


@method(Path, "glob rglob iterdir")
def files_below(call: Call) -> Any:
    """Many files, all of those of a directory that is one of many."""
    if call.owner.text and not call.owner.windows:
        call.state.inputs.setdefault(call.owner.text)
    return replace(call.owner, text=None, many=True, windows=())


@method(Path, "joinpath")
def join_path(call: Call) -> Any:
    return joined_path([call.owner, *call.args])


method(Path, "exists is_file is_dir")(nothing("a bool", Constant(True, assumed=True)))


@method(Path, "resolve absolute expanduser as_posix")
def same(call: Call) -> Any:
    return call.owner


@method(Path, "with_* replace strip rstrip lstrip removesuffix removeprefix lower relative_to")
def other_path(call: Call) -> Any:
    """Another path; of one of many files, that of one of as many."""
    return Path(windows=call.owner.windows)


method(Path, "split format")(nothing("another path", Path()))
method(Path, "*")(nothing("a path keeps no text; what is written through it is on the disk", NOTHING))
