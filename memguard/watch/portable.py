"""The guard where there is no /proc (macOS, Windows): psutil, twenty looks a second. UNTESTED on those systems.

It keeps the same policy, journal and record as loop.py. It measures summed RSS, which counts shared pages once per
process; it knows no cgroups; a burst of more than the headroom within 50 ms is not caught. The test suite runs it on
Linux.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from memguard.records.codec import to_dict
from memguard.records.limits import Constraint
from memguard.records.run import Holder, RunLimit, RunRecord
from memguard.system.limits import LimitsReader, describe
from memguard.watch.agents.culprit import find_culprit
from memguard.watch.decide import policy
from memguard.watch.journal import Journal, open_run, write_record
from memguard.watch.options import EXIT_GUARD, Options
from memguard.watch.process.launch import Command, child_environment

__all__ = ["run_guarded"]

_INTERVAL = 0.05
_STACK_WITHIN = 0.2
_GRACE = 1.0


def run_guarded(command: Command, options: Options, notify: Callable[[str], None] = lambda line: None) -> RunRecord:
    """As run.run_guarded. `notify` is not called: nothing is noticed half-way here."""
    started = time.time()
    directory, warning = open_run(started)
    journal = Journal(directory)
    environment = child_environment(os.environ, directory.path, agent=options.agent)
    process = subprocess.Popen(command.argv, executable=command.executable, env=environment)
    journal.write(
        "start",
        0.0,
        set={
            "id": directory.id,
            "command": command.argv,
            "cwd": os.getcwd(),
            "started": started,
            "pid": process.pid,
            "script": command.script,
            "stack_path": directory.stack,
            "warnings": [warning] if warning else [],
        },
    )
    guard = _Guard(process, options, journal)
    with _forwarded(process):
        stopped = guard.watch()
    record = guard.finish(stopped)
    journal.close()
    with contextlib.suppress(OSError):
        write_record(record, directory.record)
    return record


@contextlib.contextmanager
def _forwarded(process: subprocess.Popen[bytes]):  # type: ignore[no-untyped-def]
    """SIGTERM goes on to the script. Ctrl-C reaches it by itself, and is not to end the guard."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number)),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Guard:
    def __init__(self, process: subprocess.Popen[bytes], options: Options, journal: Journal) -> None:
        self._process, self._options, self._journal = process, options, journal
        self._root = psutil.Process(process.pid)
        self._limits = LimitsReader(limit=options.limit, reserve=options.reserve, rlimits=False)
        self._start = time.monotonic()
        self._peak = 0
        self._fullest: Constraint | None = None

    def watch(self) -> bool:
        """Whether the guard has ended it."""
        state = policy.State()
        while self._process.poll() is None:
            tree = self._tree()
            sample = self._sample(tree, exact=state.frozen is not None)
            decision, state = policy.decide(self._options.policy, state, sample)
            if decision is not None:
                self._note(decision)
                if decision.action == policy.ABORT:
                    self._end(tree)
                    return True
                self._act(decision.action, tree)
            if state.frozen is None:
                time.sleep(_INTERVAL)
        return False

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _sample(self, tree: list[psutil.Process], *, exact: bool) -> policy.Sample:
        used = sum(map(_rss, tree))
        self._peak = max(self._peak, used)
        sample = policy.Sample(time.monotonic() - self._start, used, self._limits.read(used), exact=exact)
        binding = sample.binding
        if binding and (self._fullest is None or binding.fraction > self._fullest.fraction):
            self._fullest = binding
        return sample

    def _note(self, decision: policy.Decision) -> None:
        now, constraint = round(time.monotonic() - self._start, 4), decision.constraint
        made = {"time": now, "action": decision.action, "rule": decision.rule, "reason": decision.reason}
        self._journal.write("decision", now, decision={**made, "used": constraint.used, "limit": constraint.usable})

    def _act(self, action: str, tree: list[psutil.Process]) -> None:
        if action in (policy.DUMP, policy.FREEZE):
            self._ask_for_stack(max(tree, key=_rss, default=None))
        for process in tree:
            with contextlib.suppress(psutil.Error):
                if action == policy.FREEZE:
                    process.suspend()
                elif action == policy.RESUME:
                    process.resume()

    def _ask_for_stack(self, process: psutil.Process | None) -> None:
        """While it runs: a signal whose default is to be ignored, so that whoever has no agent is not harmed."""
        if process is None or sys.platform == "win32" or not self._options.agent:
            return
        path = self._journal.directory.stack
        with contextlib.suppress(OSError, psutil.Error):
            with open(path, "a") as file:
                file.write(f"# process {process.pid}\n")
            size = os.path.getsize(path)
            process.send_signal(signal.SIGURG)
            deadline = time.monotonic() + _STACK_WITHIN
            while os.path.getsize(path) == size and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(0.005)

    def _end(self, tree: list[psutil.Process]) -> None:
        held = [to_dict(Holder(p.pid, _name(p), (), _rss(p))) for p in sorted(tree, key=_rss, reverse=True)]
        self._journal.write("evidence", time.monotonic() - self._start, set={"holders": held})
        for action in ("terminate", "resume", "kill"):
            if action == "kill":
                psutil.wait_procs(tree, timeout=_GRACE)
            for process in tree:
                with contextlib.suppress(psutil.Error):
                    getattr(process, action)()
        self._process.wait()

    def finish(self, stopped: bool) -> RunRecord:
        code = self._process.returncode
        values = {
            "seconds": round(time.monotonic() - self._start, 3),
            "exit_code": EXIT_GUARD if stopped else 128 - code if code < 0 else code,
            "exit_signal": -code if code < 0 else None,
            "script_exit_code": 128 - code if code < 0 else code,
            "termination_reason": "memory" if stopped else None,
            "peak": self._peak,
        }
        if stopped:
            stack, culprit, missing = find_culprit(
                self._journal.directory.stack, self._journal.record(), self._options.agent
            )
            values |= {"stack": stack or None, "culprit": to_dict(culprit), "stack_missing": missing}
        limit = self._fullest
        if limit is not None:
            values["limit"] = to_dict(RunLimit(limit.usable, describe(limit), limit.name))
        self._journal.write("end", time.monotonic() - self._start, set=values)
        self._limits.close()
        return self._journal.record()


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return "?"
