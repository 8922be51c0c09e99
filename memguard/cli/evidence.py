"""What `memguard diagnose` reads: a named log, or everything this machine tells. Not a command of its own."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sys
import time
import zlib
from collections.abc import Iterator
from typing import IO, cast

from memguard.cli.output import note
from memguard.diagnose.collection import Collection, LogFindings, merge_findings
from memguard.diagnose.query import Query
from memguard.diagnose.rules import MACHINE_COUNTER, Evidence, Pressure
from memguard.errors import InputError, MemguardError, SystemInterfaceError
from memguard.records.diagnosis import Counter
from memguard.records.run import RunRecord
from memguard.units import format_count

__all__ = ["gather_machine", "gather_named"]

_CHUNK = 1 << 18
# The files of /var/log are asked only where nothing better could be read, and only for their end.
_FILE_TAIL = 256 << 20


def gather_named(path: str, query: Query | None = None) -> Evidence:
    """The evidence of one log, judged alone."""
    collection = Collection()
    if path == "-":
        if sys.stdin.isatty():
            note("memguard diagnose: paste the text, then press Ctrl-D")
        collection.read_chunks(_chunks("stdin", sys.stdin.buffer))
    else:
        with _open(path) as file:
            collection.read_chunks(_chunks(path, file))
    findings = collection.findings()
    read = f"{'stdin' if path == '-' else path}: {_lines(findings)}"
    return Evidence(findings, named=True, sources=(read,), query=query or Query())


def gather_machine(query: Query | None = None) -> Evidence:
    """The logs, the counters and the last guarded run of this machine, each with what could not be read."""
    sources: list[str] = []
    logs = [log for log in (_kernel_log(sources), _service_log(sources)) if log is not None]
    if not any(log.events for log in logs):
        logs += _log_files(sources)
    log = merge_findings(logs) if logs else None
    counters = _counters(sources)
    run, runs_since = _last_run(sources)
    if log is None and run is None and not counters:  # not Linux, or /proc is hidden
        raise SystemInterfaceError(
            "nothing can be read here: " + "; ".join(sources),
            "hand over the log: `sudo dmesg | memguard diagnose -`",
            path="/dev/kmsg",
        )
    return Evidence(
        log,
        named=False,
        run=run,
        counters=counters,
        sources=tuple(sources),
        now=time.time(),
        query=query or Query(),
        pressure=_pressure(),
        uid=os.getuid() or None if hasattr(os, "getuid") else None,
        runs_since=runs_since,
    )


def _lines(findings: LogFindings) -> str:
    skipped = f", {format_count(findings.skipped)} of them only counted" if findings.skipped else ""
    return f"{format_count(findings.lines)} lines{skipped}"


def _kernel_log(sources: list[str]) -> LogFindings | None:
    """The first readable log that holds a kill; else the last one that could be read: rings forget, journals keep."""
    from memguard.system.kernel_log import Refusal, kernel_logs

    findings = None
    refused: list[Refusal] = []
    for log in kernel_logs(refused):
        if log.source == "dmesg" and findings is not None:
            continue  # the same ring as /dev/kmsg
        collection = Collection(log.epoch)
        collection.read_lines(log.lines)
        findings = collection.findings()
        sources.append(f"{log.source}: {_lines(findings)}")
        if findings.events:
            break
    if findings is None:
        sources += [f"{refusal.source}: not read, {refusal.reason}" for refusal in refused]
    return findings


def _service_log(sources: list[str]) -> LogFindings | None:
    """earlyoom, systemd-oomd and the like: the kernel knows nothing of them."""
    from memguard.system.kernel_log import Refusal
    from memguard.system.service_log import service_log

    refused: list[Refusal] = []
    log = service_log(refused)
    if log is None:
        sources += [f"{r.source}: not read, {r.reason}" for r in refused if r.reason != "not there"]
        return None
    collection = Collection()
    collection.read_lines(log.lines)
    findings = collection.findings()
    sources.append(f"{log.source}: {_lines(findings)}")
    # Clues in it are about other programs: a service that was stopped, a unit that crashed.
    return LogFindings(findings.lines, findings.events, findings.event_count, (), findings.skipped)


def _log_files(sources: list[str]) -> list[LogFindings]:
    from memguard.system.service_log import log_files

    found = []
    for path in log_files():
        collection = Collection()
        try:
            with open(path, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _FILE_TAIL))
                collection.read_chunks(_chunks(path, file))
        except (OSError, InputError):
            continue
        findings = collection.findings()
        if findings.events:
            sources.append(f"{path}: {_lines(findings)}")
            found.append(findings)
            break  # the next one is a copy of the same messages
    return found


def _counters(sources: list[str]) -> tuple[Counter, ...]:
    from memguard.system.cgroup import find_memory_cgroups, parse_flat, read_memory_cgroup
    from memguard.system.kernel_file import read_bytes

    counters = []
    for directory in find_memory_cgroups():
        cgroup = read_memory_cgroup(directory)
        if cgroup is not None and cgroup.oom_kill is not None:
            counters.append(Counter(directory, cgroup.oom_kill, cgroup.limit))
    if counters:
        kills = sum(counter.oom_kill > 0 for counter in counters)
        sources.append(f"kill counters of {len(counters)} memory cgroup(s): {kills} not zero")
    machine = parse_flat(read_bytes(MACHINE_COUNTER) or b"").get("oom_kill")
    if machine is not None:
        counters.append(Counter(MACHINE_COUNTER, machine))
        sources.append(f"{MACHINE_COUNTER}: {format_count(machine)} kill(s) since boot")
    return tuple(counters)


def _last_run(sources: list[str]) -> tuple[RunRecord | None, int]:
    """The last run, and 0; where it ended well, the last one that did not, and how many ended well since then."""
    from memguard.watch import journal

    since = 0
    try:
        run = journal.last_run()
        if run is not None and run.exit_code == 0:
            ended, well = journal.last_ended_run()
            run, since = (ended, well) if ended is not None else (run, 0)
    except MemguardError as error:
        sources.append(f"last guarded run: not read, {error.message}")
        return None, 0
    sources.append(f"last guarded run: {run.id}" if run is not None else "last guarded run: none on record")
    return run, since


def _pressure() -> Pressure:
    """What this machine suffers now: it may be thrashing, or its /dev/shm full, without any kill."""
    from memguard.system.proc import read_meminfo
    from memguard.system.psi import read_pressure

    psi, meminfo = read_pressure("/proc/pressure/memory"), read_meminfo()
    try:
        shm = os.statvfs("/dev/shm")
        shm_total = shm.f_blocks * shm.f_frsize or None
        shm_used = (shm.f_blocks - shm.f_bavail) * shm.f_frsize
    except OSError:
        shm_total = shm_used = None
    return Pressure(
        full_avg60=psi.full.avg60 if psi is not None and psi.full is not None else None,
        swap_total=meminfo.swap_total if meminfo else None,
        swap_free=meminfo.swap_free if meminfo else None,
        shm_used=shm_used,
        shm_total=shm_total,
    )


def _open(path: str) -> IO[bytes]:
    try:
        if os.path.isdir(path):
            raise InputError(f"{path} is a directory", "name a log file in it", path=path)
        return open(path, "rb")
    except OSError as error:
        hint = "try it with sudo" if isinstance(error, PermissionError) else "name a log file, or `-` for stdin"
        raise InputError(f"cannot read {path}: {error.strerror}", hint, path=path) from None


def _chunks(name: str, file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of `file`, unpacked where they are gzip, xz or bzip2, which their own first bytes tell."""
    try:
        stream = _unpacked(file)
        read = getattr(stream, "read1", stream.read)  # a pipe gives what it has
        while chunk := read(_CHUNK):
            yield chunk
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"cannot read {name} to its end: {error}", "is the file whole?", path=name) from None


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    head = file.peek(6)[:6] if hasattr(file, "peek") else b""
    if head[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if head == b"\xfd7zXZ\0":
        return cast(IO[bytes], lzma.LZMAFile(file))
    if head[:3] == b"BZh":
        return cast(IO[bytes], bz2.BZ2File(file))
    return file
