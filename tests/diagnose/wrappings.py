"""The ways in which a log reaches somebody who is asked about it: each turns the lines of a report into a text."""

from __future__ import annotations

import html
import json
from collections.abc import Callable

__all__ = ["WRAPPINGS"]

Wrap = Callable[[list[str]], str]


def front(mark: str, end: str = "") -> Wrap:
    """`{n}` in the mark is the line's number, `{ms}` three digits that change."""
    return lambda lines: "\n".join(
        mark.replace("{n}", str(n)).replace("{n6}", f"{n:6}").replace("{ms}", f"{n % 1000:03}") + line + end
        for n, line in enumerate(lines, 1)
    )


def whole(head: str, tail: str) -> Wrap:
    return lambda lines: f"{head}\n" + "\n".join(lines) + f"\n{tail}"


def encoded(make: Callable[[str, int], object], before: str = "") -> Wrap:
    return lambda lines: "\n".join(before + json.dumps(make(line, n)) for n, line in enumerate(lines, 1))


def padded(lines: list[str]) -> str:
    width = max(map(len, lines)) + 3
    return "\n".join(f"│ {line.ljust(width)}│" for line in lines)


def broken(width: int) -> Wrap:
    return lambda lines: "\n".join(line[i : i + width] for line in lines for i in range(0, len(line), width))


WRAPPINGS: dict[str, Wrap] = {
    "as it is": front(""),
    "quoted": front("> "),
    "quoted twice": front("> > "),
    "quoted twice, closely": front(">> "),
    "quoted closely": front(">"),
    "quoted in HTML": front("&gt; "),
    "bar": front("| "),
    "box drawing": front("│ "),
    "k9s": padded,
    "asterisk list": front("* "),
    "dash list": front("- "),
    "plus of a diff": front("+ "),
    "bullet": front("• "),
    "indented bullet": front("   • "),
    "numbered list": front("{n}. "),
    "numbered with bracket": front("{n}) "),
    "grep -n": front("{n}:"),
    "grep -n, apart": front("{n}: "),
    "cat -n": front("{n6}\t"),
    "nl": front("{n6}  "),
    "grep of two files": front("kern.log:"),
    "grep -n of two files": front("/var/log/kern.log.1:{n}:"),
    "grep -A": front("kern.log-{n}-"),
    "grep of messages": front("/var/log/messages:"),
    "four spaces": front("    "),
    "tab": front("\t"),
    "comment": front("# "),
    "slashes": front("// "),
    "double dash": front("-- "),
    "docker compose 1": front("kernel-log_1  | "),
    "docker compose 2": front("app-kernel-log-1   | "),
    "docker compose, coloured": front("\x1b[36mlogs-1  | \x1b[0m"),
    "docker compose, three digits": front("web_worker_12 | "),
    "GitHub Actions": front("2024-05-01T10:00:00.1234{ms}Z "),
    "GitLab CI": front("2024-05-01T10:00:00.123{ms}Z 01O "),
    "Jenkins": front("[2024-05-01T10:00:00.{ms}Z] "),
    "CRI": front("2024-05-01T10:00:00.123456{ms}Z stdout F "),
    "kubectl --prefix": front("[pod/dmesg-7x2lp/reader] "),
    "pdsh": front("node07: "),
    "srun -l": front("0: "),
    "mpirun": front("[1,0]<stdout>:"),
    "ansible": front('        "', '",'),
    "ansible, single quotes": front("    '", "',"),
    "Python bytes": front("b'", "\\n'"),
    "epoch": front("1700000000{ms} "),
    "epoch with tab": front("1700000000{ms}\t"),
    "RFC 5424": front("<4>1 2024-05-01T10:00:00.000{ms}Z node07 kernel - - - "),
    "VMware": front("2024-05-01T10:00:00.{ms}Z| vcpu-0| I125: Guest: "),
    "AWS CloudWatch": front("2024-05-01T10:00:00.{ms}+00:00 i-0abc1234 "),
    "Heroku drain": front("2024-05-01T10:00:00.{ms}000+00:00 app[kern.1]: "),
    "Python logging": front("2024-05-01 10:00:00,{ms} INFO [remote:41] "),
    "a program's own prefix": front("[node-agent] (stage 3/{n}) "),
    "colours around": front("\x1b[33m", "\x1b[0m"),
    "clear to the end of the line": front("", "\x1b[K"),
    "HTML breaks": front("", "<br>"),
    "HTML paragraphs": lambda lines: "\n".join(f"<p>{html.escape(line, quote=False)}</p>" for line in lines),
    "backslash ends": front("", " \\"),
    "CRLF": lambda lines: "\r\n".join(lines),
    "trailing spaces": front("", "   "),
    "blank lines between": lambda lines: "\n\n".join(lines),
    "fenced": whole("```", "```"),
    "in a story": whole("Hi, my job on node07 died and dmesg has this:", "What can I do about it? Thanks a lot!"),
    "Docker JSON": encoded(
        lambda line, n: {"log": line + "\n", "stream": "stdout", "time": f"2024-05-01T10:00:{n:02}Z"}
    ),
    "Docker JSON after an epoch": encoded(lambda line, n: {"log": line + "\n", "stream": "stdout"}, "1700000000000\t"),
    "Google Cloud": encoded(lambda line, n: {"insertId": str(n), "textPayload": line, "severity": "WARNING"}),
    "Google Cloud, nested": encoded(lambda line, n: {"insertId": str(n), "jsonPayload": {"message": line}}),
    "Loki": encoded(lambda line, n: {"ts": n, "line": line}),
    "logfmt": lambda lines: "\n".join(f"ts={n} level=info msg={json.dumps(line)}" for n, line in enumerate(lines)),
    "pretty JSON": lambda lines: "\n".join(f'    "message": {json.dumps(line)},' for line in lines),
    "UTF-16": front(""),  # encoded by the test
    "line ends lost": lambda lines: "[root@host ~]# dmesg | tail " + " ".join(lines),
    "broken at 120 columns": broken(120),
}
