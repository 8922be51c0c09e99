"""The watcher's sleep: until the next look is due, or a signal comes.

Signals are blocked and fetched with sigtimedwait, so that nothing interrupts the guard half-way, and so that their
origin is known: the terminal (Ctrl-C) sends to the whole process group, the script included; `kill` sends to the
watcher alone, which then passes the signal on.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable

__all__ = ["ENDING", "FORWARDED", "STOPPING", "SignalWait"]

ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
STOPPING = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
FORWARDED = ENDING | STOPPING | {signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT}
_SI_KERNEL = 0x80  # include/uapi/asm-generic/siginfo.h


class SignalWait:
    """Blocks the signals while it is open; `inherited` is the mask that the script is to get."""

    def __init__(self) -> None:
        self._signals = FORWARDED | {signal.SIGCHLD}
        self.inherited: Iterable[int] = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)

    def wait(self, until: float) -> tuple[int, bool] | None:
        """(signal, whether the kernel or the terminal sent it), or None when `until` (time.monotonic) has come."""
        timeout = max(0.0, until - time.monotonic())
        info = signal.sigtimedwait(self._signals, timeout)
        return None if info is None else (info.si_signo, info.si_code == _SI_KERNEL)

    def drain(self) -> None:
        """Drops what has come meanwhile: a second Ctrl-C during the clean-up."""
        while signal.sigtimedwait(self._signals, 0) is not None:
            pass

    def close(self) -> None:
        self.drain()
        signal.pthread_sigmask(signal.SIG_SETMASK, self.inherited)


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
