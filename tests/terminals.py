"""A program on a terminal of its own, and what a person would see on its screen.

with Terminal([sys.executable, "-c", code]) as terminal:
    terminal.wait_for("r SIZE, d or a?")
    terminal.type("a\\n")
    terminal.end()
terminal.screen.lines
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import subprocess
import termios
import time
from typing import Any

_SEQUENCE = re.compile(r"\x1b\[(\d*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)|(.)", re.DOTALL)


class Screen:
    """The few control sequences that memguard writes: CR, LF, up, erase to the end of the line and of the screen."""

    def __init__(self) -> None:
        self.rows, self.row, self.column = [""], 0, 0

    def feed(self, text: str) -> None:
        for count, command, cr, lf, plain, other in _SEQUENCE.findall(text):
            assert not other, f"unknown control character {other!r}"
            if cr:
                self.column = 0
            elif lf:
                self.row += 1
                self.rows += [""] * (self.row + 1 - len(self.rows))
            elif plain:
                line = self.rows[self.row].ljust(self.column)
                self.rows[self.row] = line[: self.column] + plain + line[self.column + len(plain) :]
                self.column += len(plain)
            elif command == "A":
                self.row = max(0, self.row - int(count or 1))
            elif command in "JK":
                self.rows[self.row] = self.rows[self.row][: self.column]
                if command == "J":
                    del self.rows[self.row + 1 :]
            else:
                raise AssertionError(f"unknown sequence {command!r}")

    @property
    def lines(self) -> list[str]:
        return [row for row in (row.rstrip() for row in self.rows) if row]


class Terminal:
    """`command` as the foreground job of a new terminal of 24 lines. A context manager; nothing is left."""

    def __init__(self, command: list[str], *, columns: int = 100, **options: Any) -> None:
        self._master, slave = os.openpty()
        self.output = ""

        def take_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        termios.tcsetwinsize(slave, (24, columns))
        defaults = {"stdin": slave, "stdout": slave, "stderr": slave, "env": {"TERM": "xterm", **os.environ}}
        options = {**defaults, **options}
        self.process = subprocess.Popen(command, start_new_session=True, preexec_fn=take_terminal, **options)
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Closes the window, as it were."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    @property
    def screen(self) -> Screen:
        screen = Screen()
        screen.feed(self.output)
        return screen

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str, within: float = 20.0) -> None:
        """Until `text` has been written, as often as it was waited for; fails where that takes longer."""
        seen = len(self.output)
        deadline = time.monotonic() + within
        while text not in self.output[seen:]:
            assert time.monotonic() < deadline, f"{text!r} did not come; there is: {self.output!r}"
            if not self._read(0.1) and self.process.poll() is not None:
                self._read(0.1)
                assert text in self.output[seen:], f"ended without {text!r}; there is: {self.output!r}"

    def end(self, within: float = 20.0) -> int:
        """Reads on until the program has ended; its exit code."""
        deadline = time.monotonic() + within
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running; there is: {self.output!r}"
            self._read(0.05)
        while self._read(0.05):
            pass
        return self.process.returncode

    def _read(self, timeout: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], timeout)
        if not ready:
            return False
        try:
            part = os.read(self._master, 1 << 16)
        except OSError:  # EIO: nobody has the other end open any more
            return False
        self.output += part.decode("utf-8", "replace")
        return bool(part)
