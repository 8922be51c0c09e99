"""The watcher's sleep: until the next look is due, or a signal comes.

Signals are blocked and fetched with sigtimedwait, so that nothing interrupts the guard half-way, and so that their
origin is known: the terminal (Ctrl-C) sends to the whole process group, the script included; `kill` sends to the
watcher alone, which then passes the signal on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memguard.watch.process.root import Root

__all__ = ["ENDING", "FORWARDED", "STOPPING", "SignalWait", "ignores", "pass_on"]

ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
STOPPING = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
FORWARDED = ENDING | STOPPING | {signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT}
_SI_KERNEL = 0x80  # include/uapi/asm-generic/siginfo.h


class SignalWait:
    """Blocks the signals while it is open; `inherited` is the mask that the script is to get."""

    def __init__(self) -> None:
        self._others = FORWARDED
        self.inherited: Iterable[int] = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, *FORWARDED})

    def sleep(self, until: float) -> bool:
        """Until `until` (time.monotonic), or until a child has ended or stopped: then True.

        Only SIGCHLD is waited for here. A watcher that was stopped in its sleep and continued after the deadline gets
        from CPython's sigtimedwait (3.11 to 3.13 at least) what lay on the stack instead of a signal; taken for
        SIGCHLD, that does no harm.
        """
        return signal.sigtimedwait({signal.SIGCHLD}, max(0.0, until - time.monotonic())) is not None

    def fetch(self) -> Iterator[tuple[int, bool]]:
        """(signal, whether the terminal or the kernel sent it) for each signal that has come; never waits."""
        while (info := signal.sigtimedwait(self._others, 0)) is not None:
            yield info.si_signo, info.si_code == _SI_KERNEL

    def close(self) -> None:
        """Drops what has come meanwhile, such as a second Ctrl-C during the clean-up."""
        for _ in self.fetch():
            pass
        self.sleep(0.0)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.inherited)


def pass_on(root: Root, number: int, from_terminal: bool) -> None:
    """Has the script get what memguard got, unless both have; and stops with it."""
    if root.poll():
        return
    if not from_terminal or _is_for_leader(number):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # a setuid program's
            os.kill(root.pid, number)
    if number in STOPPING:
        stop_with(root.pid)


def _is_for_leader(number: int) -> bool:
    """A terminal that goes away (ssh -t, xterm -e, tmux) tells its session's leader alone, by SIGHUP and SIGCONT: that
    is memguard, where no shell stands before it."""
    return number in (signal.SIGHUP, signal.SIGCONT) and os.getsid(0) == os.getpid()


def ignores(pid: int, number: int) -> bool:
    """Whether a process ignores `number`, as under nohup."""
    from memguard.system.proc import read_status

    status = read_status(pid)
    return status is not None and bool(status.sig_ign >> (number - 1) & 1)


def stop_with(pid: int) -> None:
    """Ctrl-Z: stops the watcher where the script has stopped itself, so that the shell sees the job as stopped.

    A script that ignores Ctrl-Z goes on, and so does its guard.
    """
    from memguard.system.proc import read_stat

    deadline = time.monotonic() + 0.05
    while time.monotonic() < deadline:
        stat = read_stat(pid)
        if stat is not None and stat.state == "T":
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        time.sleep(0.002)
