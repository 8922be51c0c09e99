"""Puts off the script's own signals while the agent is at work, so that whatever is raised there is not the script's.

    held = hold()          from here on the handlers that the script has set are not called
    try: …                 a look: a user's property, __len__ or __repr__ may raise anything in it, SystemExit, too
    finally: held.release(frame)

Without it Ctrl-C, or a handler of SIGTERM that calls sys.exit, would come in the midst of the look: it could not be
told from an error that a user's property raises, and would be lost with that. Main thread only. Python 3.8 or later.
"""

import _signal  # type: ignore[import-not-found]
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType  # noqa: F401
    from typing import Any  # noqa: F401

_SIGURG = 23 if sys.platform.startswith("linux") else 16  # the agent's own


class Held:
    def __init__(self):
        # type: () -> None
        self._before = {}  # type: dict[int, Any]  # handlers to be put back
        self._known = {}  # type: dict[int, Any]
        self._come = []  # type: list[int]

    def hold(self, number, handler):
        # type: (int, Any) -> None
        self._before[number] = self._known[number] = handler
        _signal.signal(number, self._note)

    def _note(self, number, frame):
        # type: (int, FrameType | None) -> None
        if number not in self._come:
            self._come.append(number)

    def release(self, frame):
        # type: (FrameType | None) -> None
        """Puts the handlers back and calls those whose signal has come; what they raise is raised here."""
        try:
            while self._before:
                number = next(iter(self._before))
                _signal.signal(number, self._before[number])
                del self._before[number]
            while self._come:
                number = self._come.pop(0)
                self._known[number](number, frame)
        except BaseException:  # a handler that was put back has been called already, and has raised
            self.release(frame)
            raise


def hold():
    # type: () -> Held
    """Raises what a handler raises whose signal comes at this very moment; then nothing is held."""
    held = Held()
    try:
        for number in range(1, _signal.NSIG):
            try:
                handler = _signal.getsignal(number)
            except ValueError:
                continue
            if callable(handler) and number != _SIGURG:
                held.hold(number, handler)
    except BaseException:
        held.release(None)
        raise
    return held
