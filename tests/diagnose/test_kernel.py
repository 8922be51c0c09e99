from __future__ import annotations

import time

import pytest

from memguard.diagnose.lines import MAX_LINE, parse_line
from memguard.diagnose.readers.kernel import KernelReader
from memguard.records.diagnosis import Event

KB = 1024
KILLED = (
    "Killed process {pid} ({task}) total-vm:900kB, anon-rss:800kB, file-rss:7kB, shmem-rss:1kB, "
    "UID:5 pgtables:4kB oom_score_adj:3"
)
HEADER = (
    "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name"
)


def parse(*lines: str) -> list[Event]:
    parser = KernelReader()
    events = [event for line in lines for event in parser.feed(parse_line(line))]
    return events + parser.close()


@pytest.mark.parametrize(
    "task",
    [
        "python3",
        "Web Content",
        "(sd-pam)",
        "site-build (v2",
        "a) b",
        "x,pid=9",
        "prép",
        "",
        "kworker/u8:0-ev",
        "((",
        "))",
    ],
)
def test_the_names_that_processes_have(task: str) -> None:
    summary = (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0-1,"
        f"oom_memcg=/a,b,task_memcg=/a,b/c,task={task},pid=77,uid=5"
    )
    killed = "Memory cgroup out of memory: " + KILLED.format(pid=77, task=task)
    for lines in ((summary,), (killed,), (summary, killed), (killed, summary)):
        [event] = parse(*lines)
        assert (event.task, event.pid, event.uid, event.constraint) == (task, 77, 5, "CONSTRAINT_MEMCG")
    assert (event.oom_memcg, event.task_memcg) == ("/a,b", "/a,b/c")
    assert (event.total_vm, event.anon_rss, event.file_rss) == (900 * KB, 800 * KB, 7 * KB)
    assert (event.shmem_rss, event.oom_score_adj) == (KB, 3)


def test_the_invoker_is_not_the_victim() -> None:
    [event] = parse(
        "cron invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0",
        "CPU: 0 UID: 0 PID: 11 Comm: cron Not tainted 6.18.0 #1",
        "Out of memory: " + KILLED.format(pid=77, task="python3"),
    )
    assert (event.invoker, event.invoker_pid, event.task, event.pid) == ("cron", 11, "python3", 77)
    assert event.constraint == "CONSTRAINT_NONE"


@pytest.mark.parametrize("size", [4096, 16384, 65536])
def test_pages_become_bytes_by_the_page_size_of_the_log(size: int) -> None:
    pages = 50_000
    held = pages * size // KB
    [event] = parse(
        "x invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0",
        HEADER,
        f"[     77]     5    77   135001   {pages}   {pages - 10}   10         0  1134592       3             0 big",
        "[     78]     5    78   135001      100       90       10         0  1134592        0           -17 two words",
        f"Out of memory: Killed process 77 (big) total-vm:9kB, anon-rss:{held}kB, file-rss:0kB, shmem-rss:0kB",
    )
    assert event.page_size == size
    big, small = event.tasks
    assert (big.rss, big.swap, big.rss_file) == (pages * size, 3 * size, 10 * size)
    assert (small.name, small.rss, small.oom_score_adj) == ("two words", 100 * size, -17)


@pytest.mark.parametrize(
    ("lines", "name", "limit"),
    [
        (
            ["memory: usage 1024kB, limit 1024kB, failcnt 1", "swap: usage 0kB, limit 0kB, failcnt 0"],
            "memory.max",
            1024,
        ),
        (
            [
                "memory: usage 1024kB, limit 1024kB, failcnt 1",
                "memory+swap: usage 1024kB, limit 9007199254740988kB, failcnt 0",
            ],
            "memory.limit_in_bytes",
            1024,
        ),
        (
            [
                "memory: usage 512kB, limit 9007199254740988kB, failcnt 1",
                "memory+swap: usage 2048kB, limit 2048kB, failcnt 0",
            ],
            "memory.memsw.limit_in_bytes",
            2048,
        ),
        (
            ["memory: usage 512kB, limit 1024kB, failcnt 1", "kmem: usage 100kB, limit 100kB, failcnt 9"],
            "memory.kmem.limit_in_bytes",
            100,
        ),
        (["memory: usage 512kB, limit 9007199254740928kB, failcnt 0"], None, None),
    ],
)
def test_which_limit_was_full(lines: list[str], name: str | None, limit: int | None) -> None:
    [event] = parse(
        "x invoked oom-killer: order=0", *lines, "Memory cgroup out of memory: " + KILLED.format(pid=1, task="x")
    )
    assert (event.limit_name, event.limit) == (name, None if limit is None else limit * KB)


def test_categories_of_a_cgroup_add_up_to_its_usage() -> None:
    v2 = parse(
        "memory: usage 1000kB, limit 1000kB, failcnt 1",
        "swap: usage 7kB, limit 9kB, failcnt 0",
        "Memory cgroup stats for /x:",
        r"anon 512000\x0afile 204800\x0akernel 102400\x0ashmem 4096",
        "Memory cgroup out of memory: " + KILLED.format(pid=1, task="x"),
    )[0]
    assert v2.categories == {"anon": 512000, "shmem": 4096, "file": 200704, "kernel": 102400, "other": 204800}
    assert sum(v2.categories.values()) == v2.usage
    assert (v2.cgroup_version, v2.oom_memcg, v2.swap_usage) == (2, "/x", 7 * KB)
    v1 = parse(
        "Task in /x/y killed as a result of limit of /x",
        "memory: usage 1000kB, limit 1000kB, failcnt 1",
        "kmem: usage 10kB, limit 9007199254740988kB, failcnt 0",
        "Memory cgroup stats for /x: cache:100KB rss:200KB shmem:50KB swap:0KB",
        "Memory cgroup stats for /x/y: cache:0KB rss:600KB shmem:0KB swap:3KB",
        "Memory cgroup out of memory: Kill process 1 (x) score 9 or sacrifice child",
    )[0]
    assert v1.categories == {"anon": 800 * KB, "shmem": 50 * KB, "file": 50 * KB, "kernel": 10 * KB, "other": 90 * KB}
    assert (v1.task_memcg, v1.oom_memcg, v1.cgroup_version) == ("/x/y", "/x", 1)


def test_global_memory_and_swap() -> None:
    [event] = parse(
        "x invoked oom-killer: order=0",
        "Mem-Info:",
        r"active_anon:100 inactive_anon:500 isolated_anon:0\x0a active_file:10 inactive_file:20 isolated_file:0",
        r" slab_reclaimable:30 slab_unreclaimable:40\x0a mapped:5 shmem:60 pagetables:7\x0a free:200 free_pcp:3",
        "Node 0 active_anon:588kB inactive_anon:1926800kB shmem:2952kB",
        "Node 0 DMA: 3*16kB (UM) 3*32kB (M) = 8132kB",
        "Free swap  = 12kB",
        "Total swap = 34kB",
        "1100 pages RAM",
        "100 pages reserved",
        "Out of memory: " + KILLED.format(pid=1, task="x"),
    )
    page = 16 * KB  # from the free list: order 0 is one page
    assert event.memory_total == 1000 * page
    assert event.categories == {
        "anon": 540 * page,
        "shmem": 60 * page,
        "file": 30 * page,
        "kernel": 77 * page,
        "free": 200 * page,
        "other": 93 * page,
    }
    assert (event.swap_free, event.swap_total) == (12 * KB, 34 * KB)


def test_a_whole_group_is_one_event() -> None:
    [event] = parse(
        "Memory cgroup out of memory: " + KILLED.format(pid=1, task="a"),
        "Tasks in /g are going to be killed due to memory.oom.group set",
        "Memory cgroup out of memory: " + KILLED.format(pid=2, task="b"),
        "Memory cgroup out of memory: " + KILLED.format(pid=1, task="a"),
        "Memory cgroup out of memory: OOM victim 3 (c) is already exiting. Skip killing the task",
    )
    assert (event.pid, [other.pid for other in event.others]) == (1, [2, 3])


def test_hosts_in_one_log_do_not_mix() -> None:
    a, b = "Jun  1 08:00:01 a kernel: ", "Jun  1 08:00:01 b kernel: "
    events = parse(
        a + "x invoked oom-killer: order=0",
        b + "y invoked oom-killer: order=0",
        a + "memory: usage 1kB, limit 1kB, failcnt 1",
        b + "memory: usage 2kB, limit 2kB, failcnt 1",
        a + "Memory cgroup out of memory: " + KILLED.format(pid=1, task="x"),
        b + "Memory cgroup out of memory: " + KILLED.format(pid=1, task="y"),
    )
    assert [(e.host, e.task, e.limit, e.invoker) for e in events] == [("a", "x", KB, "x"), ("b", "y", 2 * KB, "y")]


def test_only_the_kernel_speaks_for_the_kernel() -> None:
    assert parse("Jun  1 08:00:01 a app[3]: Out of memory: " + KILLED.format(pid=1, task="x")) == []
    assert parse("Killed process 1 (x) because it was idle") == []


@pytest.mark.parametrize(
    "piece",
    [
        "Killed process 1 (",
        "Out of memory: Killed process 1 (a) ",
        "oom-kill:constraint=",
        "oom-kill:constraint=A,task=,pid=1,",
        "Memory cgroup stats for /x: ",
        "[ 1.1] ",
        "memory: usage 1kB, ",
        "a:1 ",
        "\\xc3",
        "\\x0a",
        "12:34:56 ",
    ],
)
def test_time_grows_with_the_length_only(piece: str) -> None:
    """Twenty lines as long as a line may be, made of what the patterns wait for."""
    line = (piece * (MAX_LINE // len(piece) + 1))[:MAX_LINE]
    start = time.perf_counter()
    parse("x invoked oom-killer: order=0", *[line] * 20)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("number", ["²", "9" * 5000, "", "-1", "٣"])
def test_numbers_that_are_none(number: str) -> None:
    parse(f"oom-kill:constraint=CONSTRAINT_NONE,task=x,pid={number},uid={number}")
    parse(f"Out of memory: Killed process {number} (x) total-vm:{number}kB, anon-rss:{number}kB")
    parse("x invoked oom-killer: order=0", "[ pid tgid total_vm", f"[ {number} ] {number} 1 1", f"{number} pages RAM")


def test_state_stays_bounded() -> None:
    parser = KernelReader()
    found = 0
    for number in range(3000):
        line = f"Jun  1 08:00:01 host{number} kernel: y invoked oom-killer: order=0"
        found += len(parser.feed(parse_line(line)))
    assert found == 3000 - 16  # the oldest open reports were closed on the way
    assert len(parser.close()) == 16
