"""The agent: what `memguard run` puts into every Python (3.8 or later) of the guarded tree. Standard library only.

- faulthandler's C-level handler on SIGURG writes the Python stack to the run's stack.txt within milliseconds, also
  during a long C call. SIGURG, because its default is to be ignored: should the handler be gone, nothing happens.
- tiktoken gets GPT-2's files from beside this module where it would download them. Its own cache is asked first.
- a worker of multiprocessing.Pool that dies is written to the run's events.jsonl: the Pool itself never says so, and
  waits for ever for the result that the worker took with it.

No thread, no work while the script runs, and no failure of the agent's may ever reach the script.
"""

import atexit
import faulthandler
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # for the type comments below; an `import __future__` would be seen in sys.modules
    from importlib.machinery import ModuleSpec  # noqa: F401
    from types import ModuleType
    from typing import Any, Callable, Sequence  # noqa: F401

    Patch = Callable[[ModuleType], None]

_SIGURG = 23 if sys.platform.startswith("linux") else 16
_STACK_DESCRIPTOR = 240  # far above what a script's own files use, below every usual limit on open files


def start(directory):
    # type: (str) -> None
    """`directory` is this file's own; the run's is in MEMGUARD_RUN_DIR, and without it there is nobody to report to."""
    hook = _ImportHook({"tiktoken.load": lambda module: _bundle_vocabulary(module, directory)})
    sys.meta_path.insert(0, hook)
    run = os.environ.get("MEMGUARD_RUN_DIR")
    if not run:
        return
    hook.patches.update(dict.fromkeys(("multiprocessing.pool", "multiprocess.pool"), _report_dead_workers))
    descriptor = _open_high(os.path.join(run, "stack.txt"))
    faulthandler.register(_SIGURG, file=descriptor, all_threads=True, chain=False)
    # A dump during the interpreter's own end would walk frames that are being freed.
    atexit.register(faulthandler.unregister, _SIGURG)


def _open_high(path):
    # type: (str) -> int
    """`path` for appending, not inherited by other programs, and not in the way of descriptors the script counts on."""
    low = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    for high in range(_STACK_DESCRIPTOR, _STACK_DESCRIPTOR + 8):
        try:
            os.fstat(high)
        except OSError:  # free
            try:
                os.dup2(low, high, inheritable=False)
            except OSError:  # above the limit on open files
                return low
            os.close(low)
            return high
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


def _bundle_vocabulary(load, directory):
    # type: (Any, str) -> None
    """tiktoken.load.read_file is asked on a cache miss only; the hash check and the cache stay tiktoken's own."""
    original = load.read_file

    def read_file(blobpath):
        # type: (str) -> bytes
        try:
            data = _gpt2_files(directory).contents(blobpath)
        except Exception:
            data = None
        return original(blobpath) if data is None else data  # type: ignore[no-any-return]

    load.read_file = read_file


def _gpt2_files(directory):
    # type: (str) -> Any
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("_memguard_gpt2_files", os.path.join(directory, "gpt2_files.py"))
    if spec is None or spec.loader is None:
        raise ImportError("gpt2_files")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
                    _report({"event": "pool-worker-died", "pid": worker.pid, "exitcode": code, "parent": os.getpid()})
        except Exception:
            pass
        return cleaned

    pool_module.Pool._join_exited_workers = staticmethod(_join_exited_workers)


def _report(event):
    # type: (dict[str, Any]) -> None
    import json

    path = os.path.join(os.environ["MEMGUARD_RUN_DIR"], "events.jsonl")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(descriptor, (json.dumps(event) + "\n").encode("ascii"))
    finally:
        os.close(descriptor)
