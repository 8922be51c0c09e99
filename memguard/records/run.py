"""run/1: what one guarded run was, did and left; written by the guard, read by diagnose and report."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Answer", "Callback", "Culprit", "Decision", "Forecast", "Holder", "Overhead", "RunLimit", "RunRecord"]


@dataclass(frozen=True, slots=True)
class RunLimit:
    """The limit that bound (or would bind first): `value` bytes usable, `source` in words."""

    value: int
    source: str
    name: str | None = None  # the Constraint's name
    kernel_limit: int | None = None  # the limit as the kernel enforces it, before the margin


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the watching itself cost: CPU time from the script's start to its end, and the watcher's peak RSS."""

    cpu_seconds: float
    rss: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing the guard did, and by which rule. `time` is seconds since the start of the run."""

    time: float
    action: str
    rule: str
    used: int
    limit: int
    reason: str


@dataclass(frozen=True, slots=True)
class Culprit:
    """The line (and, where Python could be asked, the variable) that holds the memory."""

    file: str | None = None
    line: int | None = None
    function: str | None = None
    variable: str | None = None
    type: str | None = None
    length: int | None = None
    bytes: int | None = None
    bytes_as_uint16: int | None = None
    advice: str | None = None
    source_text: str | None = None  # the line's own text
    pid: int | None = None
    inside: str | None = None  # the library call that the line was in: "core.py:73 in encode_ordinary"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a Python of the tree has done when it was asked to. `time` is seconds since the start of the run."""

    time: float
    event: str  # reclaimed | flushed | salvaged | raised
    pid: int
    seconds: float | None = None  # that it took
    called: int | None = None  # flush callbacks
    errors: tuple[str, ...] = ()  # "callback: what it raised"
    path: str | None = None  # the file that it wrote
    skipped: tuple[str, ...] = ()  # "callback: why it was not called"
    buffer: str | None = None  # what has written its own buffer out: "ShardWriter.write"


@dataclass(frozen=True, slots=True)
class Callback:
    """What the script has registered with memguard.on_pressure."""

    name: str
    pid: int
    file: str | None = None
    line: int | None = None
    checkpoint: str | None = None  # the first checkpoint that its process has passed, "file:line"; None: none yet


@dataclass(frozen=True, slots=True)
class Holder:
    """What one process of the tree held when the guard stopped it: anonymous + shared memory, bytes."""

    pid: int
    name: str
    command: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the run will need when it has read `input` to its end, if it goes on as it does. Sizes in bytes."""

    input: str
    position: int
    size: int
    peak: int
    eta_seconds: float | None  # until the limit is reached; None: it is not, or there is none
    used: int | None = None  # bytes held at `position`
    limit_at: float | None = None  # the share of the input at which the limit is reached
    end_seconds: float | None = None  # until the input is at its end


@dataclass(frozen=True, slots=True)
class RunRecord:
    """memguard.run/1"""

    SCHEMA = "memguard.run/1"
    LINES = ("stack",)  # a text of several lines

    id: str
    command: tuple[str, ...]
    cwd: str
    started: float  # Unix time
    seconds: float | None  # wall time; None: the journal ends before the run did
    pid: int | None  # the root of the tree
    exit_code: int | None  # memguard's own exit code; None: the journal ends before the run did
    exit_signal: int | None  # the signal that ended the script, if one did
    termination_reason: str | None  # null | memory | forecast | hang | user
    peak: int | None  # peak of the tree's own anonymous + shared memory, bytes
    limit: RunLimit | None
    overhead: Overhead | None
    decisions: tuple[Decision, ...] = ()
    culprit: Culprit | None = None
    forecast: Forecast | None = None
    answers: tuple[Answer, ...] = ()
    callbacks: tuple[Callback, ...] = ()
    loop: int | None = None  # the line of the loop around the culprit, where a checkpoint would belong
    script: str | None = None  # the script file, if the command runs one
    script_exit_code: int | None = None  # the child's own code, also where the guard ended it
    stack: str | None = None  # the faulthandler dump, as text
    stack_path: str | None = None
    processes: int | None = None  # most processes alive at once
    samples: int | None = None
    max_lateness: float | None = None  # seconds the watcher woke up too late, at worst
    cgroup: str | None = None  # the memory cgroup that the script ran in
    warnings: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()  # files that the tree had open for reading, largest first
    holders: tuple[Holder, ...] = ()  # who held the memory when the tree was stopped, largest first
    tree: int | None = None  # anonymous + shared memory of the tree when it was stopped
    kernel_kills: int | None = None  # processes that the kernel's OOM killer ended during the run
    left: tuple[str, ...] = ()  # what outlived the run: processes, files in /dev/shm
    stack_missing: str | None = None  # why there is no stack, where there is none
    python: str | None = None  # the interpreter that ran the script
    stall: float | None = None  # percent of 10 s in which the whole machine waited for memory (PSI), at worst
    watcher_death: str | None = None  # what became of the script, in words, after the watcher itself had been killed
    guard_failure: str | None = None  # why the guard gave up before the end, in one line; the script went on without it
