"""Where a script's variables are: frames, its modules' globals, its classes and functions, a notebook's kept values.

variables() yields each one with its name and its place, in the order in which they are to be blamed: the same object
under several names counts for the first. Left out: the standard library's, and whatever runs the script (a test runner,
IPython's shell with its history), which refers to everything and holds nothing. Standard library only, Python 3.8 on.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType  # noqa: F401
    from typing import Any, Iterator  # noqa: F401

_agent = sys.modules["_memguard_agent"]  # type: Any

_HERE = os.path.join(_agent.directory, "")
_GUARD = os.path.join(os.path.dirname(_agent.directory), "watch", "")  # memguard.guard()'s own frames
_NOTEBOOK = os.path.join(os.path.dirname(_agent.directory), "notebook.py")
_PACKAGES = {"site-packages", "dist-packages"}
_OPTIMIZED = 0x1  # CO_OPTIMIZED: a function's frame, whose f_locals is a copy
_SUSPENDED = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR
# IPython's own names in a notebook's namespace; its cells' inputs and values come on top: _i3, _3.
_SHELL_NAMES = frozenset("In Out exit quit open get_ipython _ __ ___ _i _ii _iii _ih _oh _dh _sh _exit_code".split())
_KEPT = 1000  # values of cells that are looked at


class Candidate:
    """One container, with the variable that leads to it."""

    def __init__(self, name, value, place):
        # type: (str, Any, tuple[str, int | None, str]) -> None
        self.name, self.value = name, value
        self.file, self.line, self.function = place
        self.bytes = 0.0
        self.unnamed = False  # it is in no variable that is known: `name` says what it is
        self.built = False  # nothing at all refers to it but the statement that is being executed
        self.aliases = []  # type: list[str]  # what other frames call it


def is_library(path):
    # type: (str) -> bool
    """A file of Python itself, of the agent or the guard: `<frozen os>`, `…/lib/python3.11/…`, `…/python311.zip/…`."""
    if path.startswith(("<frozen ", _HERE, _GUARD, _NOTEBOOK)) or "\\lib\\" in path.lower():
        return True
    names = path.split("/")[1:-1]
    for position, name in enumerate(names):
        if name.startswith("python"):
            version, above = name[6:], names[position - 1] if position else ""
            if above in ("lib", "lib64") and version[1:2] == "." and _is_digits(version.rstrip("t").replace(".", "")):
                return True
            if version.endswith(".zip") and _is_digits(version[:-4]):
                return True
    return False


def _is_digits(text):
    # type: (str) -> bool
    return text.isdigit() and text.isascii()


def is_package(path):
    # type: (str) -> bool
    return not _PACKAGES.isdisjoint(path.replace("\\", "/").split("/")[1:-1])


def notebook():
    # type: () -> Any
    """IPython's shell, where this is a notebook's kernel or IPython at a terminal; else None."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)  # type: Any
    try:
        return get() if get is not None else None
    except BaseException:
        return None


def cell_name(shell, filename):
    # type: (Any, str) -> str
    """`In[3]` for the name under which that cell's code was compiled; empty for all other files."""
    try:
        named = shell.compile.format_code_name(filename)
        return str(named[1]) if named else ""
    except BaseException:
        return ""


def variables(frame):
    # type: (FrameType | None) -> Iterator[Candidate]
    """`frame` is the one that the main thread was in.

    Locals of the script's own frames, outermost first; globals of its modules; locals of packages that it has called.
    """
    shell = notebook()
    own, called = script_frames(frame)
    lines = {}  # type: dict[int, tuple[str, int | None, str]]  # the innermost ones, by module
    done = set()  # type: set[str]
    running = {
        one.f_globals["__name__"]: _place(one) for one in own if _is_modules(one)
    }  # a notebook's cell is one, too
    for one in own:
        if _is_modules(one):
            name = one.f_globals["__name__"]
            if name not in done:
                done.add(name)
                yield from _module_variables(one.f_globals, running[name], shell if name == "__main__" else None)
        else:
            lines[id(one.f_globals)] = _place(one)
            yield from frame_variables(one)
    for name, module in list(sys.modules.items()):
        globals_ = attributes(module)
        path, main = globals_.get("__file__"), name == "__main__"
        if name not in done and (main or (type(path) is str and not is_library(path) and not is_package(path))):
            place = lines.get(id(globals_), (path if type(path) is str else "<string>", None, "<module>"))
            yield from _module_variables(globals_, place, shell if main else None)
    for one in called:
        yield from frame_variables(one)
    yield from _last_error()
    if shell is not None:
        yield from _values_of_cells(shell)


def script_frames(frame):
    # type: (FrameType | None) -> tuple[list[FrameType], list[FrameType]]
    """(the script's own frames, those of the packages that they have called), the main thread's first, each outermost
    first. Where nothing is the script's own (python -m PACKAGE), the packages' frames are all there is.
    """
    own, called, others = [], [], []  # type: list[FrameType], list[FrameType], list[FrameType]
    for chain in _chains(frame):
        inside = False
        for one in chain:
            if not is_package(one.f_code.co_filename):
                inside = True
                own.append(one)
            elif inside:
                called.append(one)
            else:
                others.append(one)
    return (own, called) if own or notebook() is not None else ([], others)


def _is_modules(frame):
    # type: (FrameType) -> bool
    """Whether its variables are a module's globals."""
    name = frame.f_globals.get("__name__")
    if frame.f_code.co_flags & _OPTIMIZED or type(name) is not str:  # a look at a function's f_locals would be kept
        return False
    return frame.f_locals is frame.f_globals and attributes(sys.modules.get(name)) is frame.f_globals


def builder(frame):
    # type: (FrameType | None) -> FrameType | None
    """Whose statement builds what is in no variable: a comprehension's, where it has a frame of its own (up to 3.11);
    else the innermost of the script's own that is no generator's: what a generator yields, its caller keeps.
    """
    own, _ = script_frames(frame)
    chain = {id(one) for one in _callers(frame)}
    main = [one for one in own if id(one) in chain and not one.f_code.co_flags & _SUSPENDED]
    comprehensions = [one for one in main if one.f_code.co_name in ("<listcomp>", "<setcomp>", "<dictcomp>")]
    chosen = comprehensions or main
    return chosen[-1] if chosen else None


def _callers(frame):
    # type: (FrameType | None) -> Iterator[FrameType]
    while frame is not None:
        yield frame
        frame = frame.f_back


def _chains(frame):
    # type: (FrameType | None) -> list[list[FrameType]]
    """The main thread's frames, then the other threads'; of each the outermost first; the standard library's not."""
    here = sys._getframe()
    others = [innermost for innermost in sys._current_frames().values() if innermost is not here]
    del here  # a frame that refers to itself lives on, and with it all that it refers to
    chains, seen = [], set()  # type: list[list[FrameType]], set[int]
    for innermost in [frame] + others:
        chain = []  # type: list[FrameType]
        while innermost is not None and id(innermost) not in seen:
            seen.add(id(innermost))
            if not is_library(innermost.f_code.co_filename):
                chain.append(innermost)
            innermost = innermost.f_back
        chains.append(chain[::-1])
    return chains


def _place(frame):
    # type: (FrameType) -> tuple[str, int, str]
    return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name


def frame_variables(frame):
    # type: (FrameType) -> Iterator[Candidate]
    place = _place(frame)
    variables = frame.f_locals
    pairs = _public(variables)
    # Up to 3.12 the frame keeps this copy, and so everything in it, alive. Held by somebody else too, it is locals()'s.
    if frame.f_code.co_flags & _OPTIMIZED and type(variables) is dict and sys.getrefcount(variables) <= 3:
        variables.clear()
    for name, value in pairs:
        # ".0" is what a comprehension goes over: known to its caller by a better name, if by any.
        yield Candidate("what the comprehension goes over" if name == ".0" else name, value, place)


def attributes(thing):
    # type: (Any) -> dict[Any, Any]
    """Without asking it for anything: a module that is loaded at its first use would be loaded by that."""
    try:
        variables = object.__getattribute__(thing, "__dict__")
        return variables if type(variables) is dict else {}
    except BaseException:  # a script may put anything into sys.modules, and raise what it likes
        return {}


def _public(variables):
    # type: (Any) -> list[tuple[str, Any]]
    """A class body's variables may be in a mapping of the user's own, whose methods raise what they like."""
    try:
        pairs = list(variables.items())
    except BaseException:
        return []
    return [(name, value) for name, value in pairs if type(name) is str and not name.startswith("__")]


def _module_variables(globals_, place, shell):
    # type: (dict[Any, Any], tuple[str, int | None, str], Any) -> Iterator[Candidate]
    pairs = _public(globals_)
    if shell is not None:
        pairs = [pair for pair in pairs if not _is_shells(pair[0])]
    for name, value in pairs:
        if type(value).__name__ != "_lru_cache_wrapper":
            yield Candidate(name, value, place)
    for name, value in pairs:
        if _has_an_inside(value) and _module_of(value) == globals_.get("__name__"):
            yield from _inside(name, value, place)


def _has_an_inside(value):
    # type: (Any) -> bool
    return issubclass(type(value), type) or type(value).__name__ in ("function", "_lru_cache_wrapper")


def _module_of(value):
    # type: (Any) -> Any
    if type(value).__name__ == "function":
        return value.__module__
    try:
        return attributes_of_class(value).get("__module__") if issubclass(type(value), type) else value.__module__
    except BaseException:
        return None


def attributes_of_class(kind):
    # type: (Any) -> dict[str, Any]
    """Past its metaclass, which may be the user's."""
    return dict(type.__dict__["__dict__"].__get__(kind))


def _inside(name, value, place):
    # type: (str, Any, tuple[str, int | None, str]) -> Iterator[Candidate]
    """What a class keeps in its attributes, a function in its defaults, attributes, closure and cache."""
    if issubclass(type(value), type):
        for attribute, part in attributes_of_class(value).items():
            if not attribute.startswith("__"):
                named = name + "." + attribute
                if type(part).__name__ != "_lru_cache_wrapper":
                    yield Candidate(named, part, place)
                if type(part).__name__ in ("staticmethod", "classmethod"):
                    part = part.__func__
                if _has_an_inside(part) and not issubclass(type(part), type):
                    yield from _inside(named, part, place)
        return
    if type(value).__name__ == "_lru_cache_wrapper":
        yield Candidate(name + " (its cache)", value, place)
        return
    code = value.__code__  # type: CodeType
    parameters = code.co_varnames[: code.co_argcount]
    defaults = value.__defaults__ or ()
    given = list(zip(parameters[len(parameters) - len(defaults) :], defaults))  # noqa: B905 (not in 3.8)
    for parameter, part in given + list((value.__kwdefaults__ or {}).items()):
        yield Candidate("%s(%s)" % (name, parameter), part, place)
    for attribute, part in list(value.__dict__.items()):
        if attribute != "__wrapped__":
            yield Candidate(name + "." + attribute, part, place)
    for variable, cell in zip(code.co_freevars, value.__closure__ or ()):  # noqa: B905
        try:
            part = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        yield Candidate(variable, part, (code.co_filename, None, value.__qualname__))


def _is_shells(name):
    # type: (str) -> bool
    return name in _SHELL_NAMES or (name.startswith("_") and (name[2:] if name[1:2] == "i" else name[1:]).isdigit())


def _values_of_cells(shell):
    # type: (Any) -> Iterator[Candidate]
    """The values that cells have ended with: `Out` keeps each for as long as the kernel lives."""
    kept = getattr(shell, "user_ns", {}).get("_oh")
    if isinstance(kept, dict):
        for number, value in list(kept.items())[-_KEPT:]:
            cell = "In[%s]" % number
            yield Candidate("the value of %s, kept as Out[%s]" % (cell, number), value, (cell, None, "<module>"))


def _last_error():
    # type: () -> Iterator[Candidate]
    """A traceback that was shown stays, and with it what its frames hold."""
    trace = getattr(sys, "last_traceback", None)
    while trace is not None:
        frame = trace.tb_frame
        path = frame.f_code.co_filename
        if frame.f_code.co_flags & _OPTIMIZED and not (is_library(path) or is_package(path)):
            for one in frame_variables(frame):
                one.name += ", kept by the last error's traceback"
                yield one
        trace = trace.tb_next
