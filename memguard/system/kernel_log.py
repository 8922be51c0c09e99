"""Where the kernel says what it killed: /dev/kmsg, `dmesg`, `journalctl -k`.

Lines come one by one, as `dmesg` prints them, so that a log of any size takes bounded memory. What they mean is
diagnose/'s business. A source that this user may not read is passed over, and the reason is kept.
Formats: Documentation/ABI/testing/dev-kmsg, dmesg(1), journalctl(1).
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from memguard.system.kernel_file import read_bytes

__all__ = ["HINT", "KernelLog", "Refusal", "describe", "format_kmsg", "journal_lines", "kernel_logs"]

# One record of /dev/kmsg is at most 8 KiB (PRINTKRB_RECORD_MAX, CONSOLE_EXT_LOG_MAX in older kernels).
_RECORD = 8192
# A longer line is handed on in pieces: no kernel line is that long, and a file need not be a log.
_LONGEST_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Refusal:
    """A source that could not be read, and why, in words."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class KernelLog:
    """`lines` can be gone through once; dropping them ends the program they come from.

    `refused` are the sources that were tried before this one.
    """

    source: str
    lines: Iterator[str]
    refused: tuple[Refusal, ...] = ()
    epoch: float | None = None  # Unix time of the log's second 0, where lines count seconds since boot

    def __iter__(self) -> Iterator[str]:
        return self.lines


HINT = "`sudo dmesg | memguard diagnose -`; for good: `sudo usermod -aG systemd-journal $USER`, then log in again"


def describe(refused: Iterable[Refusal]) -> str:
    """In one line, sources with the same reason together."""
    sources: dict[str, list[str]] = {}
    for refusal in refused:
        sources.setdefault(refusal.reason, []).append(refusal.source)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in sources.items())


def kernel_logs(refused: list[Refusal] | None = None) -> Iterator[KernelLog]:
    """Every log of this machine that this user may read, best first; `refused` collects the others.

    They overlap: the kernel's own ring forgets its oldest lines, the journal keeps them longer.
    """
    refused = [] if refused is None else refused
    for name, opener in (("/dev/kmsg", _kmsg), ("dmesg", _dmesg), ("journalctl -k", _journal)):
        try:
            lines = opener()
            first = next(lines, None)
        except OSError as error:
            refused.append(Refusal(name, _reason(name, error)))
            continue
        if first is None:
            refused.append(Refusal(name, "no message in it"))
            continue
        epoch = None if opener is _journal else time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
        yield KernelLog(name, itertools.chain((first,), lines), tuple(refused), epoch)


def _reason(source: str, error: OSError) -> str:
    if error.errno in (errno.EPERM, errno.EACCES):
        if source.startswith("journalctl"):
            return "only root and the groups systemd-journal and adm may read it"
        restricted = (read_bytes("/proc/sys/kernel/dmesg_restrict") or b"").strip() == b"1"
        return "only root may read it here" + (" (kernel.dmesg_restrict=1)" if restricted else "")
    if error.errno == errno.ENOENT:
        return "not there"
    return error.strerror or str(error)


def _kmsg(path: str = "/dev/kmsg") -> Iterator[str]:
    """Each read gives one record; EAGAIN is the end of what is there, EPIPE a record that was just overwritten."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while True:
            try:
                record = os.read(descriptor, _RECORD)
            except BlockingIOError:
                return
            except BrokenPipeError:
                continue
            if not record:
                return
            yield from format_kmsg(record.decode("utf-8", "replace"))
    finally:
        os.close(descriptor)


def format_kmsg(record: str) -> tuple[str, ...]:
    """`6,339,5140900,-;text` as dmesg's `[    5.140900] text`; none for what is no record.

    The lines after the first, which begin with a blank, are key=value pairs of the driver's. A line break inside the
    text is written as \\x0a by the kernel and left so.
    """
    head, semicolon, text = record.partition(";")
    fields = head.split(",")
    if not semicolon or len(fields) < 3 or not (fields[2].isascii() and fields[2].isdigit()):
        return ()
    seconds, micros = divmod(int(fields[2]), 1_000_000)
    return (f"[{seconds:5d}.{micros:06d}] {text.partition(chr(10))[0]}",)


def _dmesg() -> Iterator[str]:
    return _command_lines("dmesg")


def _journal() -> Iterator[str]:
    """Kernel lines of this boot. Without the right journalctl says so on stderr, or finds no entries at all."""
    return journal_lines("-k")


def journal_lines(*options: str) -> Iterator[str]:
    """Lines of this boot's journal, oldest first, ISO times; raises OSError where there is no journal."""
    if not any(os.path.isdir(path) for path in ("/run/log/journal", "/var/log/journal")):
        raise FileNotFoundError(errno.ENOENT, "no journal on this system")
    lines = _command_lines("journalctl", *options, "-b", "-q", "-o", "short-iso", "--no-pager")
    return (line for line in lines if not line.startswith("-- "))


def _command_lines(*command: str) -> Iterator[str]:
    """stdout of `command` line by line. Raises OSError when it cannot run, or fails before its first line."""
    import subprocess

    environment = {**os.environ, "LC_ALL": "C"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        any_line = False
        for line in _decoded(process.stdout):
            any_line = True
            yield line
        complaint = process.stderr.read(4096).decode("utf-8", "replace").strip()
        if process.wait() != 0 and not any_line:
            raise OSError(_error_number(complaint), complaint or f"exit code {process.returncode}")
    finally:
        process.stdout.close()
        process.stderr.close()
        if process.poll() is None:
            process.kill()
        process.wait()


def _error_number(complaint: str) -> int:
    denied = ("permission", "not permitted")
    return errno.EPERM if any(word in complaint.lower() for word in denied) else errno.EIO


def _decoded(stream: IO[bytes]) -> Iterator[str]:
    while line := stream.readline(_LONGEST_LINE):
        yield line.rstrip(b"\r\n").decode("utf-8", "replace")
