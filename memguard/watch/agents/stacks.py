"""faulthandler's dumps: text -> threads and frames -> the line to blame. Pure.

A dump (Modules/faulthandler.c, Python/traceback.c) is one block per thread:

    Current thread 0x00007f… (most recent call first):
      File "/home/ann/prepare.py", line 22 in main
      File "/home/ann/prepare.py", line 30 in <module>

Names are escaped (\\xNN, \\uNNNN, \\UNNNNNNNN) and cut to 500 characters; a depth over 100 frames and more than 100
threads end in "...". The dumps of several processes share one file; the watcher writes a line `# process PID` before
it asks each for its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["HEADER", "Frame", "Thread", "blame", "blamed", "parse_dumps"]

HEADER = "# process "
_THREAD = re.compile(r"(Current thread|Thread) 0x[0-9a-f]+.*\(most recent call first\):")
_FRAME = re.compile(r'  File (?:"(?P<file>.*)"|\?\?\?), line (?P<line>\d+|\?\?\?) in (?P<function>.+)')
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")

# A thread whose innermost call is here waits for another one, which is then the one that works.
_WAITING = re.compile(
    r"/(threading|queue|selectors|subprocess|socket|asyncio/\w+|concurrent/futures/\w+|multiprocessing/\w+)\.py$"
)
# Not the user's own code: the standard library and memguard's agent; installed packages; frozen and generated code.
_LIBRARY = re.compile(r"/lib(?:64)?/python\d\.\d+t?/|/python\d+\.zip/|/memguard/inject/")
_AGENT = re.compile(r"/memguard/inject/[^/]*$")
_PACKAGES = re.compile(r"/(?:site|dist)-packages/")


@dataclass(frozen=True, slots=True)
class Frame:
    file: str
    line: int | None
    function: str

    @property
    def distance(self) -> int:
        """From the user's own code: 0 a file of theirs, 1 code given with -c or on stdin, 2 a package, 3 the rest."""
        path = self.file.replace("\\", "/")
        if path.startswith("<ipython-input-"):  # a cell of IPython's at a terminal
            return 0
        if path in ("<string>", "<stdin>"):
            return 1
        if _PACKAGES.search(path):
            return 2
        return 3 if path.startswith("<") or path == "???" or _LIBRARY.search(path) else 0


@dataclass(frozen=True, slots=True)
class Thread:
    current: bool  # the one that ran the signal handler: the main thread, unless it blocks signals
    frames: tuple[Frame, ...]  # innermost first

    @property
    def waiting(self) -> bool:
        return bool(self.frames) and bool(_WAITING.search(self.frames[0].file.replace("\\", "/")))


def parse_dumps(text: str) -> dict[int, tuple[Thread, ...]]:
    """Of each process the last dump that shows its own code at work; else the last that shows anything at work; else
    the last. A thread that was just calling or returning shows no frames, or a generator's without its callers. What is
    not a dump is passed over; never raises.
    """
    found: dict[int, tuple[Thread, ...]] = {}
    for section in ("\n" + text).split("\n" + HEADER)[1:]:
        first, _, body = section.partition("\n")
        threads = _parse_threads(body)
        if not threads or not first.strip().isdigit():
            continue
        pid = int(first)
        if pid not in found or _worth(threads) >= _worth(found[pid]):
            found[pid] = threads
    return found


def _worth(threads: tuple[Thread, ...]) -> int:
    frames = [frame for thread in threads if not thread.waiting for frame in thread.frames]
    return bool(frames) + any(frame.distance < 2 for frame in frames)


def _parse_threads(text: str) -> tuple[Thread, ...]:
    threads: list[Thread] = []
    frames: list[Frame] | None = None
    for line in text.split("\n"):
        start = _THREAD.match(line)
        if start:
            frames = []
            threads.append(Thread(start.group(1) == "Current thread", ()))
        elif frames is not None and (frame := _parse_frame(line)):
            if _AGENT.search(frame.file):
                frames.clear()  # asked twice in a row: the agent and what it calls tell nothing of the script
            else:
                frames.append(frame)
            threads[-1] = Thread(threads[-1].current, tuple(frames))
    return tuple(threads)


def _parse_frame(line: str) -> Frame | None:
    match = _FRAME.fullmatch(line)
    if match is None:
        return None
    number = match["line"]
    file = _unescape(match["file"] or "???")
    return Frame(file, int(number) if number.isdigit() else None, _unescape(match["function"]))


def _unescape(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = int(match[1] or match[2] or match[3], 16)
        return chr(code) if code < 0x110000 else match[0]

    return _ESCAPE.sub(character, text)


def blame(threads: tuple[Thread, ...]) -> tuple[Frame, Frame | None] | None:
    """(the line to blame, the call that it is inside of or None): the innermost line of the user's own code.

    Of the current thread, unless that one only waits for others: then of the first other thread that does not. Where a
    package was started with `run -m` and nothing is the user's own, the innermost line of a package.
    """
    frames = blamed(threads)
    return frames[0] if frames else None


def blamed(threads: tuple[Thread, ...]) -> tuple[tuple[Frame, Frame | None], ...]:
    """The same with its callers that are the user's own, too, outwards."""
    ordered = sorted(threads, key=lambda thread: not thread.current)
    busy = [thread for thread in ordered if not thread.waiting]
    for distance in range(3):
        for thread in (*busy, *ordered):
            pairs = zip(thread.frames, (None, *thread.frames), strict=False)
            found = tuple(pair for pair in pairs if pair[0].distance == distance)
            if found:
                return found
    return ()
