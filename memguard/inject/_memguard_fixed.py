"""The script as `memguard run --fix` has changed it, in place of the file, which stays as it is.

MEMGUARD_FIXED names a file of the run's directory: the script's path, a zero byte, the source that is to run. In every
Python of the tree that gets hold of the script's path, that source is what it reads:

- started as `python prepare.py`: Python's own C code opens the file, and nothing can be put before that. So the source
  is compiled into the run's directory, and this process starts Python once more (exec) with the compiled file in the
  script's place. That start puts back what the script would see of it: __file__, sys.argv, sys.path[0], __loader__.
- a worker that multiprocessing spawns, pdb, cProfile: all of them read it by io.open_code.
- `python -m`, `import prepare`, a directory's __main__.py: the import system's loader has the source in the file's
  place. Nothing of it goes into __pycache__.
- linecache has the lines that run, so that tracebacks and inspect show them. Before 3.13 the interpreter prints a
  traceback by itself from the file: there sys.excepthook and threading.excepthook print it from the lines.
- `import memguard` finds the memguard that has changed the script, where the script's Python has none.

Built-in modules alone, Python 3.11 or later (what the changed script calls needs that, too).
"""

import _imp
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec  # noqa: F401
    from types import CodeType, ModuleType, TracebackType  # noqa: F401
    from typing import Any, Sequence  # noqa: F401

_agent = sys.modules["_memguard_agent"]  # type: Any
_external = sys.modules["_frozen_importlib_external"]  # type: Any
_NAME = "MEMGUARD_FIXED_NAME"  # what the script was called on the command line, from one start to the next
_SERVED = "fixed.served"  # is in the run's directory once the source has been handed out
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # where the memguard package is
_SHOWS_LINES = (3, 13)  # from here on the interpreter prints tracebacks with linecache

_place, _path, _source = "", "", b""  # the file that MEMGUARD_FIXED names, and what is in it


def start(hook):
    # type: (Any) -> None
    """`hook`: the agent's, in sys.meta_path. Returns never where Python has to be started once more."""
    global _place, _path, _source
    _place = os.environ["MEMGUARD_FIXED"]
    with open(_place, "rb") as file:
        path, _, _source = file.read().partition(b"\0")
    _path = os.fsdecode(path)
    name = os.environ.pop(_NAME, "")
    if name:
        _settle(name)
    elif is_script(sys.argv[0]) and not _start_again():
        return
    sys.meta_path.insert(0, _Finder())
    _teach_loader(_external.SourceFileLoader)
    io = sys.modules["io"]  # type: Any
    io.open_code = _opener(io)
    _after_import(hook, "linecache", _teach_linecache)
    if sys.version_info < _SHOWS_LINES:
        sys.excepthook = _show
        _after_import(hook, "threading", _teach_threading)


def is_script(path):
    # type: (Any) -> bool
    """Whether `path` leads to the script, by whatever name."""
    return type(path) is str and os.path.basename(path) != "" and os.path.realpath(path) == _path


def _after_import(hook, name, patch):
    # type: (Any, str, Any) -> None
    if name in sys.modules:
        patch(sys.modules[name])
    else:
        hook.patches[name] = patch


def _tell():
    # type: () -> None
    """That the source has been handed out, for the guard."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        os.close(os.open(os.path.join(os.path.dirname(_place), _SERVED), flags, 0o600))
    except OSError:
        pass


# -- `python prepare.py` --------------------------------------------------------------------------------------------


def _start_again():
    # type: () -> bool
    """Returns only where that cannot be: `python -x` would cut the compiled file's first line off."""
    position = len(sys.orig_argv) - len(sys.argv)
    if position < 1 or _skips_a_line(sys.orig_argv[1:position]):
        return False
    words = list(sys.orig_argv)
    words[position] = _compiled(_absolute(sys.argv[0]))
    return bool(os.execve("/proc/self/exe", words, dict(os.environ, **{_NAME: sys.argv[0]})))


def _skips_a_line(options):
    # type: (list[str]) -> bool
    for word in options:
        letters = word[1:] if word.startswith("-") and not word.startswith("--") else ""
        for letter in letters:
            if letter in "WX":
                break
            if letter == "x":
                return True
    return False


def _absolute(name):
    # type: (str) -> str
    """As Python itself makes a script's path absolute: "./" and ".." stay in it."""
    return os.path.join(os.getcwd(), name)


def _compiled(path):
    # type: (str) -> str
    """The compiled source, with `path` as the file that its code is from, in the run's directory."""
    stem = os.path.splitext(os.path.basename(_path))[0]
    optimised = ".opt-%d" % sys.flags.optimize if sys.flags.optimize else ""
    of_path = _imp.source_hash(0, os.fsencode(path)).hex()
    name = "%s.%s%s.%s.pyc" % (stem, sys.implementation.cache_tag, optimised, of_path)
    place = os.path.join(os.path.dirname(_place), name)
    if os.path.exists(place):
        return place
    code = compile(_source, path, "exec", dont_inherit=True)
    temporary = "%s.%d" % (place, os.getpid())
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(_external.MAGIC_NUMBER + b"\0" * 12 + marshal.dumps(code))  # no flags, no time, no size (PEP 552)
    os.rename(temporary, place)
    return place


def _settle(name):
    # type: (str) -> None
    """In the second start: the script is `name` again, and not the compiled file. Python sets __file__ only where there
    is none; what it sets later is put right by the loader that it asks for last of all, before the script's first line.
    """
    compiled, path = sys.argv[0], _absolute(name)
    sys.orig_argv[len(sys.orig_argv) - len(sys.argv)] = name
    sys.argv[0] = name
    variables = sys.modules["__main__"].__dict__
    variables["__file__"], variables["__cached__"] = path, None
    usual = _external.SourcelessFileLoader

    def loader(fullname, file):
        # type: (str, str) -> Any
        _external.SourcelessFileLoader = usual
        if file != compiled:
            return usual(fullname, file)
        if sys.path and sys.path[0] == os.path.dirname(os.path.realpath(compiled)):  # not so under -P
            sys.path[0] = os.path.dirname(os.path.realpath(path))
        _tell()
        return _external.SourceFileLoader(fullname, path)

    _external.SourcelessFileLoader = loader


# -- all other readers ----------------------------------------------------------------------------------------------


class _Finder:
    """Of memguard alone: what else its directory holds is not for the script."""

    def find_spec(self, name, path=None, target=None):
        # type: (str, Sequence[str] | None, ModuleType | None) -> ModuleSpec | None
        if name != "memguard":
            return None
        return _external.PathFinder.find_spec(name, [_ROOT])  # type: ignore[no-any-return]


def _teach_loader(kind):
    # type: (Any) -> None
    """SourceFileLoader. Byte code of the script is neither read nor written. A traceback leaves out what is in a file
    of importlib's name, as it does with the functions in whose place these two are.
    """
    code_before, source_before = kind.get_code, kind.get_source

    def get_code(self, fullname):
        # type: (Any, str) -> CodeType
        if not is_script(self.path):
            return code_before(self, fullname)  # type: ignore[no-any-return]
        _tell()
        return self.source_to_code(_source, self.path)  # type: ignore[no-any-return]

    def get_source(self, fullname):
        # type: (Any, str) -> str
        if not is_script(self.get_filename(fullname)):  # which raises where the loader is another module's
            return source_before(self, fullname)  # type: ignore[no-any-return]
        return _external.decode_source(_source)  # type: ignore[no-any-return]

    for function in (get_code, get_source):
        function.__code__ = function.__code__.replace(co_filename=code_before.__code__.co_filename)
    kind.get_code, kind.get_source = get_code, get_source


def _opener(io):
    # type: (Any) -> Any
    before = io.open_code

    def open_code(path):
        # type: (str) -> Any
        if not is_script(path):
            return before(path)
        _tell()
        return io.BytesIO(_source)

    return open_code


def _teach_linecache(linecache):
    # type: (Any) -> None
    before = linecache.updatecache

    def updatecache(filename, module_globals=None):
        # type: (str, Any) -> list[str]
        if not is_script(filename):
            return before(filename, module_globals)  # type: ignore[no-any-return]
        lines = _lines()
        linecache.cache[filename] = len(_source), None, lines, filename  # no time: checkcache() leaves it alone
        return lines

    linecache.updatecache = updatecache


def _lines():
    # type: () -> list[str]
    text = _external.decode_source(_source)  # type: str
    if text and not text.endswith("\n"):
        text += "\n"
    return [line + "\n" for line in text.split("\n")[:-1]]


# -- tracebacks, before Python 3.13 ---------------------------------------------------------------------------------


def _formatted(kind, error, trace):
    # type: (type[BaseException], BaseException | None, TracebackType | None) -> str
    with _agent.load("_memguard_standard_library", "standard_library.py").First():
        import traceback

        linecache = traceback.linecache  # type: ignore[attr-defined]
        if linecache.updatecache.__module__ != __name__:  # it was loaded for this alone, past the agent's finder
            _teach_linecache(linecache)
        return "".join(traceback.format_exception(kind, error, trace))


def _show(kind, error, trace):
    # type: (type[BaseException], BaseException, TracebackType | None) -> None
    """sys.excepthook. Where no memory is left to do it with, the interpreter does it, with the file's own lines."""
    try:
        text = _formatted(kind, error, trace)
        stream = sys.stderr
        if stream is not None:
            stream.write(text)
            stream.flush()
    except BaseException:
        sys.__excepthook__(kind, error, trace)
    if kind is KeyboardInterrupt:
        # Python ends with SIGINT where a source that it ran has ended so. Every source that is run meanwhile (imports
        # have some in them) makes it forget that (run_eval_code_obj in Python/pythonrun.c): here is one more.
        try:
            exec("raise KeyboardInterrupt")
        except KeyboardInterrupt:
            pass


def _teach_threading(threading):
    # type: (Any) -> None
    before = threading.excepthook

    def excepthook(args):
        # type: (Any) -> None
        if args.exc_type is SystemExit or args.thread is None or sys.stderr is None:
            return before(args)  # type: ignore[no-any-return]
        try:
            text = _formatted(args.exc_type, args.exc_value, args.exc_traceback)
            sys.stderr.write("Exception in thread %s:\n%s" % (args.thread.name, text))
            sys.stderr.flush()
        except BaseException:
            before(args)

    threading.excepthook = excepthook
