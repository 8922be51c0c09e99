"""The forecast in words, and a live line on the terminal for scripts that print nothing themselves.

    progress = Progress(2)                       standard error
    progress.show(line(forecast), processes)     now and then: draws, or does nothing
    progress.clear()                             before anything else is written there, and at the end

The bar stands on the line below the cursor, which is put back where it was: whatever the script then prints comes out
as it would have without memguard, and erasing from the cursor to the end of the screen removes the bar wherever the
cursor has got to. It is drawn only on a terminal, and only for as long as no process of the tree has printed: written
bytes (wchar of /proc/PID/io, in which those of ended children are) that the positions of its open output files do not
explain count as printed, be they a pipe's. After the first of those it never comes back.

Not here: the numbers (decide/forecast.py), when to show them (the loop).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from memguard.records.run import Forecast
from memguard.records.visible import visible
from memguard.system.open_files import read_open_files, read_transfer
from memguard.system.proc import Process
from memguard.units import format_duration, format_size

__all__ = ["Progress", "line"]

_BELOW = "\r\n\x1b[K"  # to the line below (the screen scrolls where there is none), and empty it
_BACK = "\x1b[A\r"  # up again, to the column in which a script that has printed nothing left the cursor
_ERASE = "\x1b[J"  # from the cursor to the end of the screen
_OF = 8  # processes looked at
_OWN_BYTES = 64  # written before exec on the guard's own account: cgroup.procs, oom_score_adj


def line(forecast: Forecast) -> str:
    """`at 12 % of a.txt, 3.1 GiB; at this slope 25.8 GiB at the end; the limit is reached at 85 % in about 4 min`."""
    share = forecast.position / max(1, forecast.size)
    now = f", {format_size(forecast.used)}" if forecast.used is not None else ""
    parts = [f"at {share * 100:.0f} % of {os.path.basename(forecast.input)}{now}"]
    if forecast.position < forecast.size:
        parts.append(f"at this slope {format_size(forecast.peak)} at the end")
    if forecast.limit_at is not None:
        parts.append(f"the limit is reached at {forecast.limit_at * 100:.0f} %{_about(forecast.eta_seconds)}")
    elif forecast.end_seconds and forecast.position < forecast.size:
        parts.append(f"the end is reached{_about(forecast.end_seconds)}")
    return "; ".join(parts)


def _about(seconds: float | None) -> str:
    """With no more digits than a guess deserves."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f" in about {format_duration(float(max(1, round(seconds))))}" if seconds >= 10 else " in a few seconds"
    if seconds < 3600:
        return f" in about {round(seconds / 60)} min"
    return f" in about {format_duration(round(seconds / 600) * 600)}"


class Progress:
    """A bar on `descriptor`; inert where that is no terminal."""

    def __init__(self, descriptor: int, *, proc: str = "/proc") -> None:
        self._descriptor, self._proc = descriptor, proc
        self._written: dict[Process, int] = {}  # by process: wchar less the positions of its open output files
        self._shown = ""
        self.active = _is_terminal(descriptor)  # False for ever, once the script has printed

    def show(self, text: str, processes: Iterable[Process]) -> None:
        """Draws `text`, or takes the bar away for good where the script has printed meanwhile."""
        if not self.active:
            return
        if self._has_printed(processes):
            self.clear()
            self.active = False
            return
        shown = _cut(f"memguard: {text}", _columns(self._descriptor))
        if shown and shown != self._shown and self._write(_BELOW + shown + _BACK):
            self._shown = shown

    def clear(self) -> None:
        if self._shown:
            self._shown = ""
            self._write(_ERASE)

    def _has_printed(self, processes: Iterable[Process]) -> bool:
        """Whether one of them has written more than its output files show. 0.1 ms for an ordinary script."""
        printed = False
        for process in list(processes)[:_OF]:
            unexplained = self._unexplained(process.pid)
            if unexplained is not None:
                printed = printed or unexplained > self._written.get(process, _OWN_BYTES)
                self._written[process] = unexplained
        return printed

    def _unexplained(self, pid: int) -> int | None:
        """wchar less the positions of the files open for writing; None where it wrote on while it was looked at."""
        before = read_transfer(pid, self._proc)
        explained = sum(file.position or 0 for file in read_open_files(pid, self._proc) if file.writable)
        return before[1] - explained if before is not None and before == read_transfer(pid, self._proc) else None

    def _write(self, text: str) -> bool:
        try:
            os.write(self._descriptor, text.encode())
        except OSError:  # the terminal has gone
            self.active = False
            return False
        return True


def _is_terminal(descriptor: int) -> bool:
    """A terminal that knows the cursor's movements, and on which this process is in the foreground."""
    try:
        foreground = os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
    return foreground and os.environ.get("TERM", "dumb") != "dumb"


def _columns(descriptor: int) -> int:
    try:
        return os.get_terminal_size(descriptor).columns
    except OSError:
        return 0


def _cut(text: str, columns: int) -> str:
    """One row at most: a bar that wraps could not be taken away line by line. Nothing on a terminal without a width."""
    plain = visible(text)
    return plain if len(plain) < columns else plain[: max(0, columns - 1)]
