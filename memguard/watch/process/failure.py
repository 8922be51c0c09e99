"""When the guard itself fails: the script goes on without it, and its exit code stays its own.

    before_start(error)                    -> MemguardError, exit code 125: nothing has been started yet
    explain(error, became)                 -> one line: what failed, what became of the script, what to do
    wait(child, signals)                   until the script has ended by itself; signals are passed on
    record(notes, child, command, line)    -> RunRecord, as far as one can still be written

Letting the tree go comes before all of this (run.py); where the watcher cannot, its sentinel does.
"""

from __future__ import annotations

import errno
import time

from memguard.errors import MemguardError
from memguard.system.descriptors import NO_ROOM
from memguard.watch.options import EXIT_GUARD
from memguard.watch.process.signals import SignalWait, pass_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memguard.records.run import RunRecord
    from memguard.watch.notes import Notes
    from memguard.watch.process.launch import Command
    from memguard.watch.process.root import SpawnedProcess

__all__ = ["AT_THE_END", "UNGUARDED", "before_start", "explain", "record", "wait"]

UNGUARDED = "the script goes on without a guard"
AT_THE_END = "the script had ended before"
_PERIOD = 0.2  # seconds between looks for signals


def before_start(error: Exception) -> MemguardError:
    """memguard's own failure, where there is no script yet whose exit code could be passed on."""
    message = f"memguard itself failed, and has not started the script: {_words(error)}"
    return MemguardError(message, _advice(error), exit_code=125)


def explain(error: BaseException, became: str) -> str:
    """One line."""
    return f"the guard failed ({_words(error)}); {became}; {_advice(error)}"


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _advice(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    if number in NO_ROOM:
        return "allow more open files: ulimit -n 1024"
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return "make room there, or set MEMGUARD_STATE_DIR to another place"
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return "leave memory to the guard, too (15 MiB): a smaller --limit, or a higher ulimit -v"
    return "please report this"


def wait(child: SpawnedProcess, signals: SignalWait) -> None:
    """Nothing that goes wrong here ends it before the script has ended."""
    while not child.ended:
        try:
            signals.sleep(time.monotonic() + _PERIOD)
            child.poll()
            for number, from_terminal in signals.fetch():
                pass_on(child, number, from_terminal)
        except Exception:
            time.sleep(_PERIOD)


def record(notes: Notes | None, child: SpawnedProcess, command: Command, line: str, *, reason: str | None) -> RunRecord:
    """What is known of the run; `reason`: why the guard has ended it, if it has.

    Raises MemguardError, with the script's exit code, where not even that can be said.
    """
    fields = {
        "exit_code": EXIT_GUARD if reason else child.exit_code,
        "exit_signal": child.exit_signal,
        "script_exit_code": child.exit_code,
        "termination_reason": reason,
        "guard_failure": line,
    }
    if notes is not None:
        try:
            return notes.end(**fields)
        except Exception:
            pass  # the fields alone, then
    try:
        from memguard.records.codec import from_dict
        from memguard.records.run import RunRecord

        known = {"id": "unrecorded", "command": command.argv, "cwd": "", "started": time.time(), "pid": child.pid}
        unknown = dict.fromkeys(("seconds", "peak", "limit", "overhead"))
        return from_dict(RunRecord, {"schema": RunRecord.SCHEMA, **known, **unknown, **fields})
    except Exception as error:
        code = fields["exit_code"]
        raise MemguardError(f"no record could be made: {_words(error)}", _advice(error), exit_code=code) from None
