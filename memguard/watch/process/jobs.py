"""Which process `memguard watch` may guard: a job, and not what other people's work or a login session hangs on.

    check_job(pid) -> Process          or an error that says why not, and what to name instead
    find_job(word) -> (pid, others)    --name WORD

At its limit the guard stops, and then ends, the process and all below it. So it refuses what would take more than a job
along: init, session managers, terminals and servers that hold shells, the kernel's threads, memguard itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from memguard.errors import ConfigError, SystemInterfaceError
from memguard.system.proc import (
    Process,
    Stat,
    read_children,
    read_cmdline,
    read_stat,
    read_statm,
    read_status,
    read_tree,
)

__all__ = ["ancestors", "check_job", "command_of", "find_job"]

_SHELLS = frozenset({"ash", "bash", "busybox", "csh", "dash", "elvish", "fish", "ksh", "mksh", "nu", "pwsh", "sh"})
_SHELLS |= {"tcsh", "xonsh", "zsh"}
# By comm (15 bytes at most) or by the program's name.
_SESSIONS = {
    "manages sessions": ("systemd", "(sd-pam)", "init", "runit", "s6-svscan", "systemd-logind", "elogind"),
    "holds logins": ("sshd", "sshd-session", "dropbear", "mosh-server", "login", "agetty", "getty"),
    "holds terminals": ("tmux", "tmux: server", "screen", "SCREEN", "zellij", "dtach", "abduco"),
    "holds terminal windows": ("gnome-terminal-", "konsole", "xterm", "kitty", "alacritty", "wezterm-gui", "foot"),
    "shows the desktop": ("gnome-shell", "Xorg", "Xwayland", "plasmashell", "kwin_wayland", "kwin_x11", "sway"),
    "holds the desktop's session": (
        "gdm3",
        "gdm",
        "gdm-x-session",
        "sddm",
        "lightdm",
        "xfce4-session",
        "gnome-session-b",
    ),
    "serves the whole session": ("dbus-daemon", "dbus-broker", "dbus-broker-lau"),
    "starts other jobs, too": ("cron", "crond", "atd", "slurmd", "slurmstepd", "supervisord"),
    "holds containers": ("dockerd", "containerd", "containerd-shim", "crio", "conmon", "kubelet"),
}
_READERS = frozenset(
    {"bat", "cat", "code", "emacs", "gdb", "git", "grep", "head", "htop", "less", "man", "micro", "more"}
)
_READERS |= {"mv", "nano", "nvim", "ps", "py-spy", "rg", "rm", "rsync", "scp", "sed", "ssh", "strace", "tail", "top"}
_READERS |= {"vi", "view", "vim", "watch"}
_WITH_VALUE = ("-o", "+o", "-O", "+O", "--rcfile", "--init-file")  # a shell's options that take the next word
_SHOWN = 3


def check_job(pid: int) -> Process:
    """`pid` as a process that may be watched. Raises ConfigError (exit code 3) or SystemInterfaceError."""
    stat = read_stat(pid)
    if stat is None:
        raise ConfigError(f"no process {pid}", "ps aux | grep python   shows what runs", exit_code=3)
    reason = _why_not(stat, ancestors())
    if reason:
        raise ConfigError(f"process {pid} ({command_of(pid)}) {reason}", _instead(stat), exit_code=3)
    try:
        os.kill(pid, 0)
    except PermissionError:
        problem = f"process {pid} belongs to somebody else: it can neither be measured nor stopped"
        raise SystemInterfaceError(problem, "watch it as its owner", path=f"/proc/{pid}") from None
    except ProcessLookupError:
        raise ConfigError(f"process {pid} has just ended", exit_code=3) from None
    return stat.process


def find_job(word: str) -> tuple[int, tuple[int, ...]]:
    """The process that `word` means, and the others that it might have meant, newest first.

    What runs under that name comes before what has it somewhere in its command line, a job before its workers, the
    newest before others. Raises ConfigError where there is none.
    """
    above = ancestors()
    mine = [int(name) for name in os.listdir("/proc") if name.isdigit() and _is_mine(name)]
    ranked: dict[int, int] = {}
    for pid in mine:
        rank = _rank(word, read_cmdline(pid))
        stat = read_stat(pid) if rank else None
        if stat is not None and stat.alive and not _why_not(stat, above):
            ranked[pid] = rank
    best = max(ranked.values(), default=0)
    chosen = {pid: stat for pid in ranked if ranked[pid] == best and (stat := read_stat(pid)) is not None}
    topmost = [stat for stat in chosen.values() if not _has_parent_in(stat, set(chosen))]
    if not topmost:
        message = f"none of your processes has {word!r} in its command line"
        raise ConfigError(message, "ps ux   shows them; another user's is watched by its PID", exit_code=3)
    newest = sorted(topmost, key=lambda stat: (stat.start_time, stat.pid), reverse=True)
    return newest[0].pid, tuple(stat.pid for stat in newest[1:])


def command_of(pid: int, width: int = 60) -> str:
    """What to call a process in a sentence: its command line, or its name where it has none."""
    words = read_cmdline(pid)
    stat = None if words else read_stat(pid)
    text = " ".join(words).strip() if words else stat.name if stat is not None else "?"
    text = "".join(letter if letter.isprintable() else "?" for letter in text)  # a program may call itself anything
    return text if len(text) <= width else text[: width - 1] + "…"


def ancestors() -> set[int]:
    """This process and all that it hangs on, the machine's first process included."""
    found: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        stat = read_stat(pid)
        pid = stat.ppid if stat else 0
    return found


def _why_not(stat: Stat, above: set[int]) -> str:
    """Why this process cannot be watched, as the end of a sentence that begins with it; empty where it can."""
    pid = stat.pid
    if _is_kernel_thread(stat):
        return "is a thread of the kernel's: it has no memory of its own"
    words = read_cmdline(pid)
    names = {stat.name, os.path.basename(words[0]) if words else ""}
    if pid == 1:
        return "is the first process: everything else hangs on it"
    session = next((kind for kind, known in _SESSIONS.items() if not names.isdisjoint(known)), None)
    if session:
        return f"{session}: at the limit all of that would be ended"
    if _is_shell(pid, words):
        return "is a shell that somebody types into: at the limit all of its jobs would be ended"
    if pid in above:
        return "is memguard itself, or what started it"
    if _is_memguard(words):
        return "is a guard itself"
    shell = _shell_below(stat.process)
    return f"holds the shell {shell} that somebody types into: at the limit that would be ended, too" if shell else ""


def _instead(stat: Stat) -> str:
    """The largest jobs below it, as commands."""
    above = ancestors()
    below = [] if stat.pid == 1 or _is_kernel_thread(stat) else _jobs_below(stat.pid, above)
    if not below:
        return "name the job itself: memguard watch PID (ps ux shows yours), or memguard watch --name prepare.py"
    shown = [f"memguard watch {pid}   ({command_of(pid, 40)})" for pid in below[:_SHOWN]]
    return "name the job itself: " + ", or ".join(shown)


def _jobs_below(pid: int, above: set[int]) -> list[int]:
    """The topmost processes below `pid` that may be watched, largest first."""
    found: list[tuple[int, int]] = []
    waiting = list(read_children(pid))
    while waiting:
        child = waiting.pop()
        stat, memory = read_stat(child), read_statm(child)
        if stat is None or memory is None or not stat.alive:
            continue
        if _why_not(stat, above):
            waiting.extend(read_children(child))
        else:
            found.append((memory.resident, child))
    return [child for _, child in sorted(found, reverse=True)]


def _is_kernel_thread(stat: Stat) -> bool:
    """It has no address space. A container shows no such threads, and its process 2 may be any."""
    status = read_status(stat.pid)
    return stat.alive and status is not None and status.vm_size is None


def _is_memguard(words: tuple[str, ...]) -> bool:
    """`memguard run …`, the same through its Python, and the watcher beside a guarded block."""
    if len(words) > 2 and words[1:3] == ("-P", "-m") and words[3:4] == ("memguard.watch.beside",):
        return True
    command = words[1:] if words and _is_interpreter(words[0]) else words
    command = command[1:] if command[:1] == ("-m",) else command
    return len(command) > 1 and os.path.basename(command[0]) == "memguard" and command[1] in ("run", "watch")


def _is_interpreter(program: str) -> bool:
    name = os.path.basename(program).lstrip("-").rstrip("0123456789.t")
    return name in ("python", "pypy", "ipython", "ruby", "node", "perl", "Rscript", "julia") or name in _SHELLS


def _is_shell(pid: int, words: tuple[str, ...]) -> bool:
    """A shell that reads what to do from a terminal or a pipe, not from a script or `-c`."""
    if not words or os.path.basename(words[0]).lstrip("-") not in _SHELLS:
        return False
    if words[0].startswith("-"):  # a login shell
        return True
    rest = iter(words[1:])
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, None)
        elif word.startswith("--"):
            if word == "--command":
                return False
        elif word[:1] in ("-", "+") and len(word) > 1:
            if word[0] == "-" and "c" in word:
                return False
            if word[0] == "-" and "i" in word:
                return True
        else:
            return False  # a script
    try:
        return not os.path.isfile(f"/proc/{pid}/fd/0")  # bash < job.sh
    except OSError:
        return True


def _shell_below(root: Process) -> int | None:
    for process in read_tree(root):
        if process != root and _is_shell(process.pid, read_cmdline(process.pid)) and _has_terminal(process.pid):
            return process.pid
    return None


def _has_terminal(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/fd/0").startswith(("/dev/pts/", "/dev/tty"))
    except OSError:
        return False


def _rank(word: str, words: tuple[str, ...]) -> int:
    """2: `word` names what runs there; 1: it stands in the command line; 0: it does not, or somebody only reads it."""
    if not words or os.path.basename(words[0]) in _READERS:
        return 0
    return 2 if any(word in name for name in _names(words)) else int(any(word in part for part in words))


def _names(words: tuple[str, ...]) -> Iterable[str]:
    """What a command line runs: the program, and of an interpreter the script or module, too, by its last part."""
    if not _is_interpreter(words[0]):
        return (os.path.basename(words[0]),)
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        if word == "-m":
            return (os.path.basename(words[0]), *rest[:1])
        if word == "-c":
            return (os.path.basename(words[0]),)
        if word in ("-W", "-X", *_WITH_VALUE):
            rest = rest[1:]
        elif not word.startswith("-"):
            return (os.path.basename(words[0]), os.path.basename(word), word)
    return (os.path.basename(words[0]),)


def _has_parent_in(stat: Stat, pids: set[int]) -> bool:
    seen: set[int] = set()
    above: Stat | None = stat
    while above is not None and above.ppid > 0 and above.ppid not in seen:
        if above.ppid in pids:
            return True
        seen.add(above.ppid)
        above = read_stat(above.ppid)
    return False


def _is_mine(name: str) -> bool:
    try:
        return os.stat(f"/proc/{name}").st_uid == os.geteuid()
    except OSError:  # it has ended meanwhile
        return False
