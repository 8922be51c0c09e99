"""One program, once, under the guard in a box; and what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memguard.system.kernel_log import kernel_logs
from tests.boxes import MemoryBox, machine_oom_kills

PROGRAMS = Path(__file__).resolve().parents[2] / "programs"
ROOT = PROGRAMS.parents[1]
RUN = [sys.executable, "-m", "memguard", "run", "--python", sys.executable]
POLL = 0.02  # seconds
TIMEOUT = 60.0


@dataclass(frozen=True)
class Setting:
    """The same for a whole table. `directory` is scratch space; `options` go to memguard run."""

    limit: int
    runs: int
    directory: str
    options: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(ROOT), "TMPDIR": self.directory, "MEMGUARD_STATE_DIR": f"{self.directory}/state"}
        return {**os.environ, **own}

    @property
    def box(self) -> int:
        """The kernel's limit around it all: 25 % above."""
        return self.limit * 5 // 4


@dataclass(frozen=True)
class Trial:
    code: int | None  # None: it did not end in time
    kills: int  # by the kernel, in the box and in the cgroups that the guard makes below it
    line_right: bool
    line: str  # what the record names
    used: float | None  # at the abort ÷ limit
    past: float  # seconds from 97 % of the limit, as the box counts, to the end
    lateness: float
    seconds: float
    left: int  # processes
    record: dict[str, Any]
    errors: str


def run(words: list[str], setting: Setting) -> Trial:
    """`memguard run --limit … WORDS` in a box of its own."""
    record_path = Path(setting.directory) / "record.json"
    record_path.unlink(missing_ok=True)
    kills = machine_oom_kills()
    prefix = RUN[:4] if words[0] == "--" else RUN  # --python has no meaning there
    command = [*prefix, "--limit", str(setting.limit), "--record", str(record_path), *setting.options, *words]
    with MemoryBox(setting.box) as box:
        eye = _Eye(box, round(0.97 * setting.limit))
        start = time.perf_counter()
        try:
            result = box.run(command, env=setting.environment, timeout=TIMEOUT)
            code, errors = result.returncode, result.stderr
        except subprocess.TimeoutExpired:
            code, errors = None, "timeout"
        end = time.perf_counter()
        eye.close()
        left = _processes(box)
        _clear(box)
    record = json.loads(record_path.read_text()) if record_path.exists() else {}
    culprit = record.get("culprit") or {}
    aborts = [d for d in record.get("decisions", []) if d["action"] == "abort" and d["limit"]]
    return Trial(
        code=code,
        kills=max(box.oom_kills, _kills(box, machine_oom_kills() - kills)),
        line_right=_is_marked(culprit.get("file"), culprit.get("line")),
        line=f"{os.path.basename(culprit.get('file') or '?')}:{culprit.get('line')}",
        used=aborts[-1]["used"] / aborts[-1]["limit"] if aborts else None,
        past=max(0.0, end - eye.reached) if eye.reached else 0.0,
        lateness=record.get("max_lateness") or 0.0,
        seconds=end - start,
        left=len(left),
        record=record,
        errors=errors,
    )


def _is_marked(file: str | None, line: int | None) -> bool:
    """Whether that line of that file, as it stands, carries the mark."""
    if not file or not line or not os.path.exists(file):
        return False
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return line <= len(lines) and "# CULPRIT" in lines[line - 1]


def _processes(box: MemoryBox) -> list[int]:
    """Those in the box and in cgroups that were made below it."""
    found: list[int] = []
    for directory, _, _ in os.walk(box.directory):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in Path(directory, "cgroup.procs").read_text().split()]
    return found


def _clear(box: MemoryBox) -> None:
    """Ends what is left in the box, and removes the cgroups that a guard which was killed has left there."""
    deadline = time.perf_counter() + 10
    while (left := _processes(box)) and time.perf_counter() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL)
    for directory, _, _ in os.walk(box.directory, topdown=False):
        if directory != str(box.directory):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def _kills(box: MemoryBox, on_this_machine: int) -> int:
    """Kills in the box, of all that the machine has counted meanwhile: the log names the cgroup, with its parents'."""
    if not on_this_machine:
        return 0
    log = next(kernel_logs(), None)
    if log is None:  # nobody may read one: then all of them count
        return on_this_machine
    return sum("oom-kill:" in line and box.directory.name in line for line in log)


class _Eye:
    """Notes when the box's anonymous and shared memory first reached `level`; independent of the guard's own eyes."""

    def __init__(self, box: MemoryBox, level: int) -> None:
        self.reached = 0.0
        self._path, self._level, self._open = box.directory / "memory.stat", level, True
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def close(self) -> None:
        self._open = False
        self._thread.join()

    def _watch(self) -> None:
        while self._open and not self.reached:
            with contextlib.suppress(OSError):
                if _held(self._path.read_text()) >= self._level:
                    self.reached = time.perf_counter()
            time.sleep(POLL)


def _held(stat: str) -> int:
    fields = dict(line.split() for line in stat.splitlines())
    names = ("total_rss", "total_shmem") if "total_rss" in fields else ("anon", "shmem")
    return sum(int(fields.get(name, 0)) for name in names)


@contextlib.contextmanager
def removed(*paths: str) -> Iterator[None]:
    try:
        yield
    finally:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
