"""The guard of `memguard run` for a part of one's own program, without the command.

    with memguard.guard(limit="8GiB") as g: …        # at the limit: MemoryLimitExceeded, a MemoryError, in here
    @memguard.limited("2GiB")                        # the same around each call of a function: limited.py
    memguard.headroom()                              # bytes that may still be used, as of now

A small process beside this one watches it and everything it starts, and asks through the same agent as under
`memguard run` (memguard/inject, loaded by its path): reclaim, flush, then the exception, raised in the main thread
between two of Python's steps, with the variable that holds the memory in its message. What goes on growing after that
is ended as under `memguard run`. Signals are what the requests travel by, and Python serves those in the main thread:
a guard can be entered there alone.

Not here: the watching itself (beside.py, loop.py), what the agent does (memguard/inject/_memguard_requests.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable

from memguard import pressure
from memguard.errors import ConfigError, MemguardError
from memguard.inject.standard_library import First
from memguard.system.descriptors import NO_ROOM
from memguard.system.limits import LimitsReader
from memguard.system.outer_guard import outer_limit, tree_memory
from memguard.system.proc import read_meminfo, require_proc
from memguard.units import parse_size
from memguard.watch.journal import RunDirectory, open_run, read_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from types import TracebackType
    from typing import Any

    from memguard.records.run import RunRecord

__all__ = ["Guard", "guard", "headroom"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_INJECT = os.path.join(_PACKAGE, "inject")
_READY_WITHIN = 30.0  # seconds for a Python to start on a busy machine
_END_WITHIN = 10.0  # seconds for the watcher to write its record
_NO_MORE = sys.maxsize  # no request has this number

_entered: list[Guard] = []  # the outermost first


class Guard:
    """One guarded block. `limit` in bytes, None for what the machine itself enforces; `record` once it is over."""

    def __init__(
        self,
        limit: int | None,
        reserve: int | None,
        on_pressure: Callable[[], object] | None,
        salvage: str | None,
        background: bool = False,
    ) -> None:
        self.limit, self.reserve, self.salvage = limit, reserve, salvage
        self._background, self._ended_well = background, False
        self._on_pressure = on_pressure
        self._undo = contextlib.ExitStack()
        self._directory: RunDirectory | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._outer: str | None = None  # MEMGUARD_LIMIT as it was before the block

    @property
    def directory(self) -> str | None:
        """Where this block's journal, record and stack are; None before it is entered."""
        return self._directory.path if self._directory else None

    @property
    def record(self) -> RunRecord | None:
        """What happened; None while the block runs."""
        if self._directory is None or self in _entered:
            return None
        with First():
            return read_run(self._directory.path)

    @property
    def watcher(self) -> int | None:
        """The pid of the process that watches; None outside the block."""
        return self._watcher.pid if self._watcher else None

    def __enter__(self) -> Guard:
        _check_place()
        if self in _entered:
            raise ConfigError("this guard is entered already", "make one for each block: with memguard.guard(…)")
        with First():
            import resource

        self._pid = os.getpid()
        self._directory, _ = open_run(time.time())
        with contextlib.ExitStack() as undo:
            agent = _load_agent()
            run = agent.listen(self._directory.path)
            undo.callback(pressure.detach)
            undo.callback(agent.leave, run)
            pressure.detach()
            undo.callback(_restore_data_limit, resource.getrlimit(resource.RLIMIT_DATA)[0])
            self._watcher = _start_watcher(self._directory, self._options(), wait=not self._background)
            undo.callback(self._end_watcher, run)
            self._outer = os.environ.get("MEMGUARD_LIMIT")
            undo.enter_context(_environment(self._directory, self.limit))
            if self._on_pressure is not None:
                undo.enter_context(pressure.registered(self._on_pressure))
            _entered.append(self)
            undo.callback(_entered.remove, self)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended_well = kind is None
        self._undo.close()

    def _options(self) -> dict[str, Any]:
        salvage = None if self.salvage is None else os.path.abspath(self.salvage)
        outer = _load_agent().outermost()
        options = {"limit": self.limit, "reserve": self.reserve, "salvage": salvage, "outer": outer}
        return {**options, "cwd": os.getcwd(), "command": sys.orig_argv}

    def _end_watcher(self, run: Any) -> None:
        watcher, self._watcher = self._watcher, None
        run.done = _NO_MORE  # the block is over: what is asked from now on comes too late
        if watcher is None:
            return
        if os.getpid() != self._pid:  # a child that was forked inside the block: the watcher is its parent's
            for pipe in (watcher.stdin, watcher.stdout):
                if pipe is not None:
                    pipe.close()
            watcher.returncode = 0
            return
        if self._background and self._ended_well:
            with First():
                import shutil

            watcher.kill()
            _stop(watcher)
            shutil.rmtree(self.directory or "", ignore_errors=True)
            return
        _stop(watcher)


def guard(
    limit: str | int | None = None,
    *,
    reserve: str | int | None = None,
    on_pressure: Callable[[], object] | None = None,
    salvage: str | os.PathLike[str] | None = None,
    background: bool = False,
) -> Guard:
    """Guards a with-block: at the limit it gets MemoryLimitExceeded; before it comes to that, `on_pressure` is called.

    `limit` is what this process and all it starts may use together: "8GiB", "75%" of the machine's memory, a number of
    bytes, or None for what the machine's own limits leave. `reserve` is memory to leave to the rest of the machine,
    `salvage` a directory for the token ids that the largest variable holds when the limit is reached. `background`: the
    block begins while its watcher still starts (0.1 s), and leaves no record where it ends well.

    Raises ConfigError for a size that cannot be read, outside the main thread, and where there is no Linux.
    """
    where = None if salvage is None else os.fspath(salvage)
    return Guard(_size("limit", limit), _size("reserve", reserve), on_pressure, where, background)


def headroom() -> int | None:
    """Bytes that may still be used now, by the tightest of all limits; None where none can be read.

    The guard's own limit counts, under `memguard run` and in a guarded block, against the memory of everything that is
    guarded together; pages that forked processes share are counted once for each, so it errs to the safe side. Reads
    /proc and the cgroup's files each time: 0.3 ms, and 15 µs for each process of the machine under `memguard run`.
    """
    limits = [entered.limit for entered in _entered if entered.limit is not None]
    reserves = [entered.reserve for entered in _entered if entered.reserve is not None]
    guarded = bool(_entered) or "MEMGUARD_RUN_DIR" in os.environ  # then the guard's fence moves RLIMIT_DATA as it likes
    reader = LimitsReader("self", min(limits, default=None), max(reserves, default=None), rlimits=not guarded)
    watchers = tuple(entered.watcher for entered in _entered if entered.watcher is not None)
    try:
        tree = tree_memory(os.environ, without=watchers)
        return min((max(0, c.headroom) for c in reader.read(tree)), default=None)
    finally:
        reader.close()


def _check_place() -> None:
    if not sys.platform.startswith("linux"):
        raise ConfigError("memguard.guard() needs Linux", "memguard run works elsewhere, too, by polling")
    if sys.implementation.name != "cpython":
        raise ConfigError("memguard.guard() needs CPython: its agent uses CPython's faulthandler")
    require_proc()
    if threading.current_thread() is not threading.main_thread():
        name = threading.current_thread().name
        hint = "enter it in the main thread, around the work of all threads: it guards the whole process"
        raise ConfigError(f"memguard.guard() was entered in thread {name!r}, where Python serves no signals", hint)
    if not sys.executable:
        raise ConfigError("memguard.guard() does not know which Python to start its watcher with", "set sys.executable")


def _size(name: str, value: str | int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ConfigError(f"{name}: not a size: {value!r}", 'write "8GiB", "75%" or a number of bytes')
    if isinstance(value, int):
        if value < 1:
            raise ConfigError(f"{name}: a size must be at least one byte: {value!r}")
        return value
    memory = read_meminfo() if value.strip().endswith("%") else None
    try:
        return parse_size(value, total=memory.total if memory else None)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error.message}", error.hint) from None


def _load_agent() -> Any:
    """The agent under the name that it has under `memguard run`, where it has been here from the start."""
    agent = sys.modules.get("_memguard_agent")
    if agent is None:
        with First():
            from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location("_memguard_agent", os.path.join(_INJECT, "_memguard_agent.py"))
        assert spec is not None and spec.loader is not None  # a path that ends in .py has both
        agent = module_from_spec(spec)
        sys.modules["_memguard_agent"] = agent
        try:
            spec.loader.exec_module(agent)
        except BaseException:
            del sys.modules["_memguard_agent"]
            raise
    return agent


@contextlib.contextmanager
def _environment(directory: RunDirectory, limit: int | None) -> Any:
    """What the processes that the block starts inherit: the agent, the run that is theirs, the smallest limit."""
    limits = [size for size in (outer_limit(os.environ), limit) if size is not None]
    changes = {"MEMGUARD_LIMIT": str(min(limits))} if limits else {}
    if "MEMGUARD_RUN_DIR" not in os.environ:  # else they are an outer guard's
        places = [_INJECT, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        changes.update(MEMGUARD_RUN_DIR=directory.path, PYTHONPATH=os.pathsep.join(places))
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _restore_data_limit(soft: int) -> None:
    """The watcher has moved it, and puts it back, unless it was killed."""
    with First():
        import resource

    now, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if now != soft:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _start_watcher(directory: RunDirectory, options: dict[str, Any], *, wait: bool) -> subprocess.Popen[bytes]:
    """Returns when it watches, or at once without `wait`.

    No agent is in it, and nothing that the user's directory holds is imported.
    """
    with First():
        import select
        import subprocess

    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEMGUARD_RUN_DIR", "PYTHON"))}
    # What the blocks around this one have put there is held by their own watchers, which raise in their own blocks.
    for entered in reversed(_entered):
        if entered._pid == os.getpid():
            kept.pop("MEMGUARD_LIMIT", None)
            kept.update({} if entered._outer is None else {"MEMGUARD_LIMIT": entered._outer})
    environment = {**kept, "PYTHONPATH": os.path.dirname(_PACKAGE)}
    command = [sys.executable, "-P", "-m", "memguard.watch.beside"]
    command += [str(os.getpid()), directory.path, json.dumps(options)]
    try:
        watcher = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError as error:
        message = f"the guard's watcher cannot be started: {sys.executable}: {error.strerror}"
        hint = "allow more open files: ulimit -n 1024" if error.errno in NO_ROOM else "is this Python still installed?"
        raise MemguardError(message, hint, exit_code=125) from None
    if not wait:
        return watcher
    assert watcher.stdout is not None
    poll = select.poll()
    poll.register(watcher.stdout, select.POLLIN)
    try:
        if poll.poll(_READY_WITHIN * 1000) and os.read(watcher.stdout.fileno(), 16).startswith(b"ready"):
            return watcher
    except BaseException:
        watcher.kill()
        _stop(watcher)
        raise
    watcher.kill()
    _stop(watcher)
    message = f"the guard's watcher did not start (exit code {watcher.returncode}); what it said is on stderr"
    raise MemguardError(message, f"try it by hand: {sys.executable} -m memguard doctor", exit_code=125)


def _stop(watcher: subprocess.Popen[bytes]) -> None:
    """A byte, not only the pipe's end: a process that was forked inside the block keeps the pipe open."""
    with First():
        import subprocess

    assert watcher.stdin is not None and watcher.stdout is not None
    with contextlib.suppress(OSError):
        os.write(watcher.stdin.fileno(), b"\n")
    watcher.stdin.close()
    try:
        watcher.wait(_END_WITHIN)
    except subprocess.TimeoutExpired:
        watcher.kill()
        watcher.wait()
    watcher.stdout.close()
