"""What the guard asks of a Python with the agent in it, and the answers. A file and a signal out, lines of JSON back.

    send_request(directory, process, "reclaim", "inspect", within=2.0)   ->  sequence number
    Answers(directory.events).new()                                   ->  [{"event": "flushed", "seq": …, …}, …]

The requests lie in request.<pid> of the run's directory, the newest last, in marshal's format (version 2): every Python
from 3.8 on reads it without an import, and json may be a module of the user's there. SIGURG tells the process to look.
faulthandler dumps the stack in the same moment, also inside a long C call; the rest is done by the main thread as soon
as it is between two of Python's steps (memguard/inject/_memguard_requests.py lists the words and their answers). Nobody
waits here.

A signal that comes just before a system call that blocks is served only when that returns: a request that is not
answered in time may be repeated by the signal alone (actions.ask_for_stack), as often as one likes: each request is
handled once.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import marshal
import os
import time

from memguard.system.proc import Process
from memguard.watch.journal import RunDirectory
from memguard.watch.process.actions import ask_for_stack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Answers", "send_request", "withdraw"]

_MARSHAL = 2  # the format's version
_MOST_PENDING = 8  # orders that wait at once
_READ_AT_ONCE = 1 << 20
_LONGEST_LINE = 1 << 20  # more than any answer; a longer one is not ours

_numbers = itertools.count(1)  # one count for all processes: a forked child keeps its parent's last number


def send_request(
    run_directory: RunDirectory,
    process: Process,
    *do: str,
    within: float,
    salvage: str | None = None,
    message: str = "",
    asleep: bool = True,
) -> int | None:
    """Asks `process` to do `do`, in this order, within so many seconds; returns the request's sequence number.

    None where nobody listens: no agent, another program since an exec, a handler that the script has replaced, a full
    disk. `salvage` is a directory, `message` that of the error to raise.
    A request that the process has not handled yet stays in the file, before the new one, until its time is over.
    `asleep=False`: None, too, where it sleeps in a system call just now (actions.may_ask).
    """
    number, now = next(_numbers), time.monotonic()
    order = {"seq": number, "do": do, "within": within, "salvage": salvage, "message": message}
    path = _path(run_directory, process)
    temporary = f"{path}.tmp"
    orders = [*_pending(path, now), {**order, "until": now + within}]
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, marshal.dumps(orders, _MARSHAL))
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except OSError:
        return None
    if ask_for_stack(process, run_directory.stack, asleep=asleep):
        return number
    withdraw(run_directory, process)
    return None


def _pending(path: str, now: float) -> list[dict[str, Any]]:
    """The orders in the file whose time is not over; the process knows by their numbers which it has handled."""
    try:
        with open(path, "rb", buffering=0) as file:
            orders = marshal.loads(file.read())
        return [order for order in orders if order["until"] > now][-_MOST_PENDING:]
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return []


def withdraw(run_directory: RunDirectory, process: Process) -> None:
    """Takes back what `process` has not handled yet: an error to be raised, say, when memory has become free."""
    with contextlib.suppress(OSError):
        os.unlink(_path(run_directory, process))


def _path(run_directory: RunDirectory, process: Process) -> str:
    return os.path.join(run_directory.path, f"request.{process.pid}")


class Answers:
    """The lines of a run's events.jsonl, each once. It is written by the user's processes: anything may be there."""

    def __init__(self, events_path: str) -> None:
        self._path, self._read = events_path, 0
        self._rest = b""  # a line whose end has not been seen

    def new(self) -> list[dict[str, Any]]:
        """What has been answered since the last call; one stat() where that is nothing. Never raises."""
        try:
            if os.stat(self._path).st_size <= self._read:
                return []
            with open(self._path, "rb", buffering=0) as file:
                file.seek(self._read)
                data = file.read(_READ_AT_ONCE)
        except OSError:
            return []
        self._read += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            self._rest = b""
        return [event for line in lines if (event := _parse(line)) is not None]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None
