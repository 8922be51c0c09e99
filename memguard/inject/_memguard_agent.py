"""The agent: what `memguard run` puts into every Python (3.8 or later) of the guarded tree. Standard library only.

- faulthandler's C-level handler on SIGURG writes the Python stack to the run's stack.txt within milliseconds, also
  during a long C call. SIGURG, because its default is to be ignored: should the handler be gone, nothing happens.
- behind it, as soon as the main thread is between two of Python's steps again, a Python handler looks whether the guard
  has left a request (request.<pid>) in the run's directory, and handles it: _memguard_requests.py, loaded at the first.
- tiktoken gets GPT-2's files from beside this module where it would download them. Its own cache is asked first.
- a worker of multiprocessing.Pool that dies is written to the run's events.jsonl: the Pool itself never says so, and
  waits for ever for the result that the worker took with it.

No thread, no work while the script runs unless the guard asks, and no failure of the agent's may ever reach the script;
what may reach it is the one error that a request orders: MemoryLimitExceeded. No import either, but of what is
built into the interpreter: a json.py or a types.py beside the script is the user's, and the script says `import json`.

`memguard.guard()` loads the same module into a process that was not started by `memguard run`: listen() and leave().
"""

import _signal  # type: ignore[import-not-found]  # `signal` would import enum and re, which a bare Python has not
import atexit
import faulthandler
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # for the type comments below; an `import __future__` would be seen in sys.modules
    from importlib.machinery import ModuleSpec  # noqa: F401
    from types import FrameType, ModuleType  # noqa: F401
    from typing import Any, Callable, Sequence  # noqa: F401

    Patch = Callable[[ModuleType], None]

_SIGURG = 23 if sys.platform.startswith("linux") else 16
_ENOMEM = 12
_STACK_DESCRIPTOR = 240  # far above what a script's own files use, below every usual limit on open files

directory = os.path.dirname(__file__)
runs = []  # type: list[Run]  # whose requests are handled here; the innermost guard's last
_busy = 0  # the pid that is handling a request: a child that is forked meanwhile is not
left = False  # a signal that has come meanwhile has left its request to whoever is handling one


class Run:
    """One guard that this process listens to."""

    def __init__(self, path):
        # type: (str) -> None
        self.path = path
        self.events = os.path.join(path, "events.jsonl")
        self.done = 0  # the sequence number of the last request that was handled
        self.stack_path = os.path.join(path, "stack.txt")
        self.stack = _open_high(self.stack_path)
        self.handler_before = None  # type: Any

    def has_stack(self):
        # type: () -> bool
        """False where the script has closed the descriptor, as daemons do, or it is now another file's."""
        try:
            return os.path.samestat(os.fstat(self.stack), os.stat(self.stack_path))
        except OSError:
            return False

    def reopen(self):
        # type: () -> bool
        """Whether the stack file had to be opened again. Another file's descriptor is left as it is."""
        if self.has_stack():
            return False
        self.stack = _open_high(self.stack_path)
        return True

    def dump(self):
        # type: () -> None
        faulthandler.dump_traceback(self.stack, all_threads=True)

    def lacks_dump(self):
        # type: () -> bool
        """Whether the guard has asked this process for its stack, and nothing has been written since.

        The C-level handler had no descriptor any more, or the script has put one of its own in its place.
        """
        asked = b"# process %d\n" % os.getpid()
        with open(self.stack_path, "rb", buffering=0) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(asked)))
            return file.read() == asked


class MemoryLimitExceeded(MemoryError):
    """memguard.MemoryLimitExceeded's twin, for a Python that has not loaded memguard. A MemoryError, like that one."""

    exit_code = 75

    def __init__(self, message, hint=""):
        # type: (str, str) -> None
        MemoryError.__init__(self, message)
        self.message, self.hint = message, hint

    def __reduce__(self):
        # type: () -> tuple[Any, ...]
        # A Pool's parent finds this function: it has the agent from the start, and the classes' name is memguard's.
        return limit_exceeded, (self.message, self.hint)


MemoryLimitExceeded.__module__ = "memguard"


def limit_exceeded(message, hint=""):
    # type: (str, str) -> BaseException
    """memguard's own error where the script has memguard loaded, so that it can be caught by that name."""
    memguard = sys.modules.get("memguard")  # type: Any
    try:
        return memguard.MemoryLimitExceeded(message, hint)  # type: ignore[no-any-return]
    except Exception:  # it is not there, or no memory is left to load its errors
        return MemoryLimitExceeded(message, hint)


def start():
    # type: () -> None
    """The run's directory is in MEMGUARD_RUN_DIR; without it there is nobody to report to."""
    hook = _ImportHook({"tiktoken.load": _bundle_vocabulary})
    sys.meta_path.insert(0, hook)
    run = os.environ.get("MEMGUARD_RUN_DIR")
    if not run:
        return
    hook.patches.update(dict.fromkeys(("multiprocessing.pool", "multiprocess.pool"), _report_dead_workers))
    listen(run)
    atexit.register(_end)
    if "MEMGUARD_FIXED" in os.environ and sys.version_info >= (3, 11):
        load("_memguard_fixed").start(hook)


def _end():
    # type: () -> None
    """A dump during the interpreter's own end would walk frames that are being freed. A MemoryError that nobody has
    caught may be the guard's doing (its fence): it is told, with the stack that it came from.
    """
    faulthandler.unregister(_SIGURG)
    error = getattr(sys, "last_value", None)  # type: Any
    refused = isinstance(error, MemoryError) or getattr(error, "errno", None) == _ENOMEM  # mmap.mmap raises OSError
    if not refused or type(error).__name__ == "MemoryLimitExceeded" or not runs:
        return
    frames, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append('  File "%s", line %d in %s\n' % (code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    try:
        text = "# process %d\nCurrent thread 0x0 (most recent call first):\n%s" % (
            os.getpid(),
            "".join(frames[:-51:-1]),
        )
        runs[0].reopen()
        os.write(runs[0].stack, text.encode("ascii", "backslashreplace"))
        report(runs[0], {"event": "memory-error", "pid": os.getpid(), "error": str(error)[:500]})
    except BaseException:  # of the error's own __str__
        pass


def listen(path):
    # type: (str) -> Run
    """Handles the requests in the run's directory `path` from now on. Main thread only, as signal handlers need."""
    run = Run(path)
    if not runs:
        run.handler_before = _signal.signal(_SIGURG, _on_signal)
    # The C-level dump first, then the Python handler below it. Registered twice, faulthandler only changes its file.
    faulthandler.register(_SIGURG, file=run.stack, all_threads=True, chain=True)
    runs.append(run)
    return run


def outermost():
    # type: () -> str | None
    """The directory of the outermost guard's run: its page has the flag that a checkpoint looks at."""
    return runs[0].path if runs else None


def leave(run):
    # type: (Run) -> None
    """Listens no longer to `run`; what SIGURG meant before the first listen() it means again after the last leave()."""
    runs.remove(run)
    if runs:
        faulthandler.register(_SIGURG, file=runs[-1].stack, all_threads=True, chain=True)
    else:
        faulthandler.unregister(_SIGURG)
        # None: a handler that was not installed from Python, which unregister() has put back
        if run.handler_before is not None:
            _signal.signal(_SIGURG, run.handler_before)
    if run.has_stack():
        os.close(run.stack)


def _on_signal(number, frame):
    # type: (int, FrameType | None) -> None
    """In the main thread, between two of Python's steps or in a call that looks for signals. `frame`: the script's."""
    if runs:
        _write_lost_dump(runs[-1])
    if not any(os.path.exists(request_path(run)) for run in runs):  # the stack alone was wanted
        return
    try:
        signals = load("_memguard_signals")
    except Exception:
        return  # the guard gets no answer, and goes on without
    nested = _busy == os.getpid()
    error = None  # type: BaseException | None
    while error is None:
        error = _answer(signals, frame, nested)
        if nested or not left:  # else one has come after the last look at what is asked
            break
    frame = None
    if error is not None:
        raise error


def _answer(signals, frame, nested):
    # type: (Any, FrameType | None, bool) -> BaseException | None
    """Handles what is asked, the script's signals held meanwhile, and returns the error that is to be raised."""
    global _busy, left
    held = signals.hold()
    before, _busy = _busy, os.getpid()
    left = left and nested
    try:
        return load("_memguard_requests").handle_all(frame, nested)  # type: ignore[no-any-return]
    except BaseException:  # what a user's __len__ or property raises during an inspection
        left = left or nested  # or the modules are not loaded yet: whoever is loading them looks again
        return None
    finally:
        try:
            _busy = before
        finally:
            held.release(frame)


def request_path(run):
    # type: (Run) -> str
    return os.path.join(run.path, "request.%d" % os.getpid())


def trim():
    # type: () -> None
    """Gives back to the kernel what was freed. For memguard.pressure, after the script's callbacks."""
    try:
        load("_memguard_requests").trim()
    except Exception:
        pass


def _write_lost_dump(run):
    # type: (Run) -> None
    """The signal's own dump, where the script has closed what it goes to or has taken the C-level handler off."""
    try:
        if run.reopen():
            faulthandler.register(_SIGURG, file=run.stack, all_threads=True, chain=True)
        if run.lacks_dump():
            run.dump()
    except OSError:  # no descriptor is left, or the run's directory has gone
        pass


def load(name, file=""):
    # type: (str, str) -> Any
    """The module `name`, from `file` (`name`.py) of this directory, which is on nobody's sys.path."""
    module = sys.modules.get(name)
    if module is None:
        from _frozen_importlib_external import SourceFileLoader

        loader = SourceFileLoader(name, os.path.join(directory, file or name + ".py"))
        module = type(sys)(name)
        module.__file__, module.__loader__ = loader.path, loader
        sys.modules[name] = module  # before it is executed: it may be needed to pickle what it defines
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return module


def _open_high(path):
    # type: (str) -> int
    """`path` for appending, not inherited by other programs, and not in the way of descriptors the script counts on.

    Where the limit on open files lies below (`ulimit -n 16`), as far up as it lets: a descriptor's number matters to
    scripts that expect the next one to be 3, and to shells that use 3 to 9.
    """
    low = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    limit = os.sysconf("SC_OPEN_MAX")
    top = _STACK_DESCRIPTOR + 8 if limit < 0 else min(_STACK_DESCRIPTOR + 8, limit)
    usual = range(_STACK_DESCRIPTOR, top)
    for high in usual or range(top - 1, low, -1):
        try:
            os.fstat(high)
        except OSError:  # free
            try:
                os.dup2(low, high, inheritable=False)
            except OSError:
                break
            os.close(low)
            low = high
            break
    if low not in usual:  # once it is closed, the guard cannot tell by its number that nothing else has it
        os.close(os.open(os.path.join(os.path.dirname(path), "low"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return low


class _ImportHook:
    """A finder that finds nothing: it patches a module right after the module's own import, once, and steps aside."""

    def __init__(self, patches):
        # type: (dict[str, Patch]) -> None
        self.patches = patches

    def find_spec(self, name, path=None, target=None):
        # type: (str, Sequence[str] | None, ModuleType | None) -> ModuleSpec | None
        if name not in self.patches:
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if finder is not self and find else None  # type: ModuleSpec | None
            if spec is not None:
                self._patch_after(spec.loader, name)
                return spec
        return None

    def _patch_after(self, loader, name):
        # type: (Any, str) -> None
        """On the loader's instance, so that nothing of it remains after the module has been executed."""
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return

        def exec_module(module):
            # type: (ModuleType) -> None
            try:
                del loader.exec_module
            except AttributeError:
                pass
            execute(module)
            try:
                self.patches.pop(name)(module)
            except Exception:
                pass

        try:
            loader.exec_module = exec_module
        except AttributeError:
            pass


def _bundle_vocabulary(tiktoken_load):
    # type: (Any) -> None
    """tiktoken.load.read_file is asked on a cache miss only; the hash check and the cache stay tiktoken's own."""
    original = tiktoken_load.read_file

    def read_file(blobpath):
        # type: (str) -> bytes
        try:
            with load("_memguard_standard_library", "standard_library.py").First():
                data = load("_memguard_gpt2_files", "gpt2_files.py").contents(blobpath)
        except Exception:
            data = None
        return original(blobpath) if data is None else data  # type: ignore[no-any-return]

    tiktoken_load.read_file = read_file


def _report_dead_workers(pool_module):
    # type: (Any) -> None
    """Pool drops and replaces a dead worker in Pool._join_exited_workers without a look at how it ended."""
    join_exited = pool_module.Pool._join_exited_workers

    def _join_exited_workers(pool):
        # type: (list[Any]) -> Any
        before = list(pool)
        cleaned = join_exited(pool)
        try:
            for worker in before if cleaned else ():
                code = None if worker in pool else worker.exitcode
                if code:  # a worker that has done its share (maxtasksperchild) ends with 0
                    died = {"event": "pool-worker-died", "pid": worker.pid, "exitcode": code, "parent": os.getpid()}
                    report(runs[0], died)
        except BaseException:  # this is the Pool's own thread: no signal of the script's is served in it
            pass
        return cleaned

    pool_module.Pool._join_exited_workers = staticmethod(_join_exited_workers)


def report(run, event):
    # type: (Run, dict[str, Any]) -> None
    load("_memguard_answers").report(run, event)
