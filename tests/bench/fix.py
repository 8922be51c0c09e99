"""Each family of scripts on real text: unfixed, unfixed in a memory cgroup, and `memguard run --fix` in the same.

python -m tests.bench fix --text FILE… [--size 200MB] [--limit 512MiB] [--keep FILE] [FAMILY…]

A FAMILY is the beginning of a name ("P1" takes "P1 in a function", not "P10 …"). Inputs are made of the texts one after
the other, in the form that each script reads. The outputs are files, stdout, exit code and the exception. Memory is
anonymous memory of the cgroup; seconds of processor time are of the whole tree, `memguard` itself and the fixing in
them. With `--keep`, rows are added to FILE, and what a script did without a limit is taken from there when known.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from memguard.units import MIB, format_size, parse_size
from tests.bench._fix_jobs import Job, jobs, write_inputs
from tests.bench._peaks import _EVERYTHING, _cgroup
from tests.bench.tokenize._runs import vocabulary
from tests.boxes import MemoryBox

_MOST, _SLOWEST, _FAST = 256 * MIB, 1.05, 4
_SAID = 300  # characters of stderr that are kept


@dataclass(frozen=True)
class Run:
    """`outputs`: SHA-256 of files, stdout, exit code and exception; `said`: the end of stderr."""

    code: int
    kills: int
    outputs: str
    files: dict[str, str]
    peak: int
    cpu: float
    wall: float
    said: str

    @property
    def word(self) -> str:
        """How it ended in its box."""
        if self.kills or self.code == -9:
            return "killed"
        return "refused" if "MemoryError" in self.said else f"exit {self.code}"


@dataclass(frozen=True)
class Row:
    name: str
    size: int
    limit: int
    free: Run
    boxed: Run | None
    fixed: Run
    declined: bool

    @property
    def same(self) -> bool:
        return self.free.outputs == self.fixed.outputs

    @property
    def faults(self) -> list[str]:
        """Where it is not what `fix` promises; of a script that is left, nothing is promised but the bytes."""
        found = []
        if self.declined:
            return found if self.same or self.fixed.word != f"exit {self.free.code}" else ["differs"]
        if not self.same:
            found.append("differs" if self.fixed.word == f"exit {self.free.code}" else self.fixed.word)
        if self.fixed.peak > _MOST:
            found.append("large")
        if self.fixed.cpu > _SLOWEST * self.free.cpu:
            found.append("slow")
        return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench fix", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    parser.add_argument("--text", type=Path, action="append", required=True, help="may be given more than once")
    parser.add_argument("--size", default="200MB", help="of the text")
    parser.add_argument("--limit", default="512MiB")
    parser.add_argument("--keep", type=Path, help="rows as JSON lines")
    parser.add_argument("--no-box", action="store_true", help="do not run the unfixed script in the box")
    parser.add_argument("--scratch", type=Path, help="a directory on a disk with room for the inputs and outputs")
    arguments = parser.parse_args(argv)
    if problem := MemoryBox.missing():
        print(problem, file=sys.stderr)
        return 2
    size, limit = parse_size(arguments.size), parse_size(arguments.limit)
    asked = arguments.families
    chosen = [job for job in jobs(size) if not asked or any(f"{job.name} ".startswith(f"{one} ") for one in asked)]
    if asked:  # in the order they are asked for
        chosen.sort(key=lambda job: next(n for n, one in enumerate(asked) if f"{job.name} ".startswith(f"{one} ")))
    text, rows = _text(arguments.text, size), []
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        bench = _Bench(Path(name), text, size, limit, arguments.keep, not arguments.no_box)
        for job in chosen:
            if missing := [need for need in job.needs if find_spec(need) is None]:
                print(f"{job.name:34} left out: {', '.join(missing)} is not installed", flush=True)
                continue
            rows.append(bench.row(job))
            print(_line(rows[-1]), flush=True)
    print(_summary(rows))
    return int(any(row.faults for row in rows))


def _text(paths: list[Path], size: int) -> str:
    parts: list[bytes] = []
    while (missing := size - sum(map(len, parts))) > 0:
        with paths[len(parts) % len(paths)].open("rb") as file:
            parts.append(file.read(missing))
    return b"".join(parts).decode("utf-8", "ignore")


class _Bench:
    def __init__(self, scratch: Path, text: str, size: int, limit: int, keep: Path | None, boxed: bool) -> None:
        self.scratch, self.text, self.size, self.limit, self.keep, self.boxed = scratch, text, size, limit, keep, boxed
        (scratch / "vocabulary").mkdir()
        (scratch / "store").mkdir()
        self.environment = {
            **vocabulary(scratch / "vocabulary"),
            "PYTHONPATH": os.getcwd(),
            "XDG_STATE_HOME": str(scratch / "state"),
            "HF_DATASETS_CACHE": str(scratch / "datasets"),
            "PYTHONPYCACHEPREFIX": str(scratch / "bytecode"),  # as where memguard is installed
        }
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def row(self, job: Job) -> Row:
        key = hashlib.sha256(json.dumps([self.size, job.source, sorted(job.forms.items())]).encode()).hexdigest()
        plain = [sys.executable, "prepare.py"]
        free = self._known(key) or self._run(job, plain, _EVERYTHING)
        boxed = self._run(job, plain, self.limit) if self.boxed else None
        fixed = self._run(job, [sys.executable, "-m", "memguard", "run", "--fix", plain[1]], self.limit)
        row = Row(job.name, self.size, self.limit, free, boxed, fixed, job.declined)
        if self.keep:
            with self.keep.open("a") as file:
                file.write(json.dumps({"key": key, **dataclasses.asdict(row)}) + "\n")
        return row

    def _known(self, key: str) -> Run | None:
        if not self.keep or not self.keep.exists():
            return None
        kept = [json.loads(line) for line in self.keep.read_text().splitlines()]
        return next((Run(**row["free"]) for row in kept if row["key"] == key), None)

    def _run(self, job: Job, command: list[str], limit: int) -> Run:
        with tempfile.TemporaryDirectory(dir=self.scratch) as name:
            work = Path(name)
            inputs = write_inputs(job, self.text, self.scratch / "store", work)
            (work / "prepare.py").write_text(job.source)
            with (
                (self.scratch / "out").open("w") as out,
                (self.scratch / "err").open("w") as err,
                MemoryBox(limit) as box,
            ):
                before, peak, started = resource.getrusage(resource.RUSAGE_CHILDREN), 0, time.perf_counter()
                process = box.start(
                    command, cwd=work, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
                )
                while process.poll() is None:
                    peak = max(peak, _cgroup(box.directory / "memory.stat"))
                    time.sleep(0.01)
                wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
            said = (self.scratch / "err").read_text(errors="replace")
            files = {p.name: _digest(p) for p in sorted(work.iterdir()) if p.is_file() and p.name not in inputs}
            files.pop("prepare.py")
            files["stdout"] = _digest(self.scratch / "out")
        outputs = hashlib.sha256(json.dumps([process.returncode, _error(said), files]).encode()).hexdigest()
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(process.returncode, box.oom_kills, outputs, files, peak, cpu, wall, said[-_SAID:])


def _error(stderr: str) -> str:
    """The exception that a script ended in: the last line after a traceback."""
    if "Traceback (most recent call last)" not in stderr:
        return ""
    lines = stderr[stderr.rindex("Traceback (most recent call last)") :].splitlines()
    return next((line for line in lines[1:] if line[:1].strip()), "")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(row: Row) -> str:
    free, fixed = row.free, row.fixed
    boxed = row.boxed.word if row.boxed else "–"
    verdict = ", ".join(row.faults) or ("left" if row.declined else "as promised")
    return (
        f"{row.name:34} {format_size(free.peak):>9} {free.cpu:6.1f} s {free.wall:6.1f} s  boxed {boxed:8}"
        f"  fixed {format_size(fixed.peak):>9} {fixed.cpu:6.1f} s {fixed.wall:6.1f} s {fixed.word:7}"
        f" {'same' if row.same else 'DIFFERENT':9} {free.cpu / fixed.cpu:5.2f} ×  {verdict}"
    )


def _summary(rows: list[Row]) -> str:
    promised = [row for row in rows if not row.declined]
    count = len(promised)
    faster = sum(row.free.cpu >= _FAST * row.fixed.cpu for row in promised)
    return (
        f"{count} families to fix: {sum(row.same for row in promised)} completed with the same outputs, "
        f"{sum(row.fixed.peak <= _MOST for row in promised)} within {format_size(_MOST)}, "
        f"{sum(row.fixed.cpu <= _SLOWEST * row.free.cpu for row in promised)} not slower than {_SLOWEST} ×, "
        f"{faster} at least {_FAST} × as fast; unfixed in the box, "
        f"{sum(row.boxed is not None and row.boxed.word in ('killed', 'refused') for row in promised)} ended; "
        f"{len(rows) - count} families that are left: {sum(row.same for row in rows if row.declined)} with the same "
        "outputs"
    )
