"""How long `memguard diagnose` takes over a large log, and how much memory: ordinary journals and hostile ones.

    python -m tests.bench diagnose [--megabytes 1000] [--only NAME]

Each log is made by a generator and goes in through a pipe, as `journalctl | memguard diagnose -` does: no disk
is measured. Seconds are wall time of the whole command, CPU its processor
time (which other work on the machine does not stretch), MiB its highest resident memory (ru_maxrss).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_KILL = (
    "Nov 21 20:{m:02d}:{s:02d} node7 kernel: [{n}.000001] Memory cgroup out of memory: Killed process {n} (python) "
    "total-vm:75224kB, anon-rss:65280kB, file-rss:5780kB, shmem-rss:0kB, UID:1000 pgtables:184kB oom_score_adj:0\n"
)
_REPORT = Path(__file__).parent.parent / "data/kills/memcg_v2_scope.kmsg.txt"
_PLAIN = (
    "Nov 21 20:00:01 node7 CRON[811]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)\n",
    "Nov 21 20:00:01 node7 kernel: [  518.050606] EXT4-fs (vda1): mounted filesystem with ordered data mode.\n",
    "Nov 21 20:00:02 node7 sshd[4411]: Accepted publickey for ada from 192.0.2.7 port 50122 ssh2: ED25519\n",
    "Nov 21 20:00:03 node7 systemd[1]: apt-daily.service: Consumed 1.023s CPU time, 50.0M memory peak.\n",
    "Nov 21 20:00:04 node7 app[77]: request 137 done in 143 ms, 12 killed, cache memory 5 MiB\n",
)


def _kills(size: int) -> Iterator[bytes]:
    """Nothing but kills, a quarter of a million of them each of another process; then the same ones again."""
    blocks = [
        "".join(_KILL.format(n=i, m=i // 60 % 60, s=i % 60) for i in range(n, n + 1000)).encode()
        for n in range(0, 250_000, 1000)
    ]
    while True:
        yield from blocks


def _reports(size: int) -> Iterator[bytes]:
    """Nothing but whole reports of the kernel's."""
    text = _REPORT.read_text()
    blocks = [text.replace("364", str(100_000 + n)).replace("330.", f"{n}.").encode() for n in range(20_000)]
    while True:
        yield from blocks


def _journal(size: int) -> Iterator[bytes]:
    """A server's journal in which the words kill and memory are common, with one report in its middle."""
    block = "".join(_PLAIN).encode() * 400
    done, shown = 0, False
    while True:
        yield block
        done += len(block)
        if done > size // 2 and not shown:
            yield _REPORT.read_bytes()
            shown = True


def _table(size: int) -> Iterator[bytes]:
    """One report whose task table never ends."""
    yield _REPORT.read_bytes().partition(b"[    364]")[0].rpartition(b"\n")[0] + b"\n"
    row = b"[  330.27%04d] [ %6d]     0   372    59681     3112    98304        0             0 python3\n"
    blocks = [b"".join(row % (i % 10_000, i) for i in range(n, n + 2000)) for n in range(0, 400_000, 2000)]
    while True:
        yield from blocks


def _clues(size: int) -> Iterator[bytes]:
    """Every line says something that might be a clue or another killer's word."""
    lines = b'Killed\nMemoryError\nexit code 137\nReason: OOMKilled\noomd kill: x\n"OOMKilled": true\nmemory limit\n'
    while True:
        yield lines * 3000


def _one_line(size: int) -> Iterator[bytes]:
    """A single line."""
    while True:
        yield b"Killed process 1 (" * 10_000


LOGS: dict[str, Callable[[int], Iterator[bytes]]] = {
    "journal": _journal,
    "kills": _kills,
    "reports": _reports,
    "table": _table,
    "clues": _clues,
    "one-line": _one_line,
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench diagnose")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--only", choices=list(LOGS))
    options = parser.parse_args(arguments)
    print(f"{'log':<10} {'MB':>6} {'seconds':>8} {'CPU':>6} {'MiB':>6}  answer")
    for name, generate in LOGS.items():
        if options.only in (None, name):
            seconds, cpu, peak, answer = measure(generate, options.megabytes * 1_000_000)
            row = f"{name:<10} {options.megabytes:>6} {seconds:>8.1f} {cpu:>6.1f} {peak / 2**20:>6.0f}  {answer}"
            print(row, flush=True)
    return 0


def measure(generate: Callable[[int], Iterator[bytes]], size: int) -> tuple[float, float, int, str]:
    """(wall seconds, CPU seconds, highest resident bytes, answer) of diagnose over `size` bytes."""
    read_end, write_end = os.pipe()
    writer = os.fork()  # its memory must not count: a spawned program starts with its parent's ru_maxrss
    if writer == 0:
        os.close(read_end)
        _write(generate(size), write_end, size)
        os._exit(0)
    os.close(write_end)
    out_read, out_write = os.pipe()
    start = time.perf_counter()
    command = [sys.executable, "-m", "memguard", "diagnose", "--json", "-"]
    actions = [(os.POSIX_SPAWN_DUP2, read_end, 0), (os.POSIX_SPAWN_DUP2, out_write, 1)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    os.close(read_end)
    os.close(out_write)
    with open(out_read, encoding="utf-8") as output:
        record = json.loads(output.read())
    _, _, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    os.waitpid(writer, 0)
    answer = f"{record['verdict']}, {record['event_count']:,} kills"
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, answer


def _write(chunks: Iterator[bytes], descriptor: int, left: int) -> None:
    with open(descriptor, "wb", buffering=0) as pipe:
        for chunk in chunks:
            rest = memoryview(chunk)[:left]
            left -= len(rest)
            while rest:
                rest = rest[pipe.write(rest) :]
            if not left:
                return
