"""One line of any log -> its message, and what stood in front of it. Pure.

Covers dmesg (plain, -T in any language, -x, iso), /dev/kmsg as it is read, syslog, journalctl (short, iso, json,
export), `<6>` levels and caller ids. Not the meaning of the message: the readers know that.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from memguard.records.diagnosis import Event

__all__ = ["MAX_LINE", "Line", "event_at", "parse_line", "split_message"]

# The longest line the kernel prints for a kill is its memory.stat joined by \x0a, under 3 KiB.
MAX_LINE = 16384
_HEAD = 160  # the stamp, host and program of a syslog line are shorter than this

_KERNEL = re.compile(r"(?:^|\s)kernel(?:\[\d{1,10}\])?:(?:\s|$)")
_CLOCK = re.compile(r"\d\d:\d\d:\d\d")
# What follows the clock in syslog and journalctl -o short…: rest of the stamp, host, program[pid]:
_PROGRAM = re.compile(
    r"[^\s\]]{0,20}\s{1,4}(?P<host>[^\s:\[\]]{1,64})\s(?P<program>[A-Za-z_(][\w.@/+()-]{0,63})(?:\[\d{1,10}\])?:(?:\s|$)"
)
_KMSG = re.compile(r"\d{1,5},\d{1,20},(\d{1,20}),[^;]{0,80};")
_FRONT = re.compile(
    r"\s{0,40}(?:"
    r"<\d{1,3}>"
    r"|\[\s{0,12}(?P<uptime>\d{1,12}\.\d{1,9})\]"
    r"|\[\s{0,12}(?P<caller>[TC]\d{1,10})\]"
    r"|\[(?P<date>[^\[\]]{3,40}\d\d:\d\d(?::\d\d)?[^\[\]]{0,30})\]"
    r"|\[\s{0,12}\+\d{1,9}\.\d{1,9}\]"
    r"|(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\s]{0,20})(?=\s)"
    r"|(?:kern|user|daemon|syslog)\s{0,6}:[a-z]{2,8}\s{0,6}:"
    r"|MESSAGE="
    r")\s?"
)
# OpenWrt's logread writes facility and level where others write the host.
_FACILITY = re.compile(r"\s(?:kern|user|daemon|syslog|auth|local\d)\.(?:emerg|alert|crit|err|warn|notice|info|debug)$")
_OF_DOCUMENTS = ("-", "*", "+", '"', "'", "{")
_ESCAPED_BYTES = re.compile(r"(?:\\x[89a-fA-F][0-9a-fA-F])+")


@dataclass(frozen=True, slots=True)
class Line:
    """`text` is the message alone; `time` what the log prints for it; `uptime` the kernel's own clock in seconds."""

    text: str
    raw: str  # as the log has it, for quotes
    time: str | None = None
    uptime: float | None = None
    host: str | None = None
    program: str | None = None  # kernel | systemd | earlyoom | …; None where the log does not say
    caller: str | None = None  # CONFIG_PRINTK_CALLER: T123 (a task) or C1 (a cpu)
    number: int | None = None  # of the line in its log, from 1
    indent: int = 0  # spaces in front of it
    body: str = ""  # the line with its indentation and without what was wrapped around it


def parse_line(raw: str, number: int | None = None, quoted: str | None = None) -> Line:
    """Never raises; a line of an unknown format comes back whole as its own message.

    `quoted`: the line as it was before its wrapping was cut.
    """
    raw = raw[:MAX_LINE].rstrip("\r\n")
    quoted = raw if quoted is None else quoted[:MAX_LINE].rstrip("\r\n")
    # A mark of a list belongs to YAML, quotes to JSON: documents are read with them.
    wrapped = quoted.endswith(raw) and not quoted.lstrip().startswith(_OF_DOCUMENTS)
    line, indent = _parse(raw, number), len(raw) - len(raw.lstrip())
    # dataclasses.replace() would take as long as all the rest.
    return Line(
        line.text,
        quoted,
        line.time,
        line.uptime,
        line.host,
        line.program,
        line.caller,
        number,
        indent,
        raw if wrapped or quoted is raw else quoted,
    )


def _parse(raw: str, number: int | None) -> Line:
    if raw.startswith("{") and '"MESSAGE"' in raw:
        line = _parse_journal_json(raw, number)
        if line is not None:
            return line
    kmsg = _KMSG.match(raw)
    if kmsg:
        return _strip_front(Line(raw[kmsg.end() :], raw, uptime=int(kmsg[1]) / 1e6, program="kernel"), number)
    head = raw[:_HEAD]
    kernel = _KERNEL.search(head)
    if kernel:
        time, host = _split_head(head[: kernel.start()])
        return _strip_front(Line(raw[kernel.end() :], raw, time=time, host=host, program="kernel"), number)
    clock = _CLOCK.search(head)
    program = _PROGRAM.match(head, clock.end()) if clock else None
    if program:
        time = head[: program.start("host")].strip()
        return _strip_front(Line(raw[program.end() :], raw, time, None, program["host"], program["program"]), number)
    return _strip_front(Line(raw, raw), number)


def split_message(text: str) -> list[str]:
    """The lines inside one message: the kernel joins some by newlines, which logs write as \\x0a or #012."""
    if "\n" in text:
        return text.split("\n")
    if "\\x0a" in text:
        return text.split("\\x0a")
    if "#012" in text:
        return text.split("#012")
    return [text]


def _split_head(head: str) -> tuple[str | None, str | None]:
    """`Nov  9 10:10:50 web-1` -> (`Nov  9 10:10:50`, `web-1`)."""
    stripped = head.strip()
    if not _CLOCK.search(stripped):
        return None, None
    stripped = _FACILITY.sub("", stripped)
    time, _, host = stripped.rpartition(" ")
    if not time or _CLOCK.search(host):
        return stripped, None
    return time.strip().strip("[]"), host


def _strip_front(line: Line, number: int | None) -> Line:
    text, time, uptime, caller = line.text, line.time, line.uptime, line.caller
    for _ in range(6):  # level, time stamp, uptime, caller, and a copy of the copy
        front = _FRONT.match(text)
        if front is None:
            break
        uptime = float(front["uptime"]) if front["uptime"] else uptime
        time = time or front["date"] or front["iso"]
        caller = caller or front["caller"]
        text = text[front.end() :]
    if "\\x" in text:
        text = _unescape(text)
    if time is None and uptime is not None:
        time = f"{uptime:.6f}"
    return Line(text.strip(), line.raw, time, uptime, line.host, line.program, caller, number)


def _unescape(text: str) -> str:
    """/dev/kmsg writes bytes ≥ 0x80 as \\xNN: back to UTF-8. systemd's own \\x2d in unit names stays."""

    def decode(match: re.Match[str]) -> str:
        return bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "replace")

    return _ESCAPED_BYTES.sub(decode, text).replace("\\x5c", "\\")


def _parse_journal_json(raw: str, number: int | None) -> Line | None:
    try:
        entry = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    message = entry.get("MESSAGE")
    if isinstance(message, list):  # journald's form for a message that is not UTF-8
        message = bytes(b for b in message if isinstance(b, int) and 0 <= b < 256).decode("utf-8", "replace")
    if not isinstance(message, str):
        return None
    host, program = entry.get("_HOSTNAME"), entry.get("SYSLOG_IDENTIFIER")
    stamp = entry.get("__REALTIME_TIMESTAMP")
    time = None
    if isinstance(stamp, str) and stamp.isdecimal() and len(stamp) < 20:
        time = f"@{int(stamp) / 1e6:.6f}"
    host = host if isinstance(host, str) else None
    program = program if isinstance(program, str) else None
    return _strip_front(Line(message, raw, time, None, host, program), number)


def event_at(line: Line, killer: str, *, pid: int | None = None, task: str | None = None, **fields: Any) -> Event:
    """An Event whose time, place and evidence are those of one line; `fields` are Event's others."""
    return Event(
        time=line.time,
        killer=killer,
        pid=pid,
        task=task,
        evidence=(line.raw.strip()[:400],),
        uptime=line.uptime,
        host=line.host,
        line=line.number,
        **fields,
    )
