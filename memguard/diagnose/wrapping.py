"""What stands around the lines of a log that was passed on (quotes, lists, prefixes, JSON) -> the lines. Pure.

Nobody sends the kernel's log as it is: it comes quoted in a mail, out of `grep -n`, docker compose, a CI job, a log
shipper's JSON, a chat that lost the line ends. Three things undo that:

    open_line     marks that are known (`> `, `| `, `12:`, colours, JSON, quotes) are cut from the front of a line
    Unwrapper     an unknown prefix is learned: what stands in front of a message that can only begin with certain
                  words is cut from the other lines of the same shape, too; the head of a report waits for it
    Unwrapper     a line that holds many messages is divided, a message that is broken over lines is joined
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["LONGEST", "Unwrapper", "open_line"]

LONGEST = 1 << 18  # bytes of a line that are looked at: a whole report may have lost its line ends

_ANSI = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]|\x1b\([AB0]|\x1b\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)")
# Marks in front of a line. Each is cut as often as it comes; none of them begins a message of the kernel's.
_MARK = re.compile(
    r"\s{0,40}(?:"
    r"(?:>|&gt;|[|│┃¦║▏*•·+‣◦]|//|#|--?|–|—)(?:\s|(?=[\[>|]))"  # quotes, tables, list marks, diffs, comments
    r"|[|│┃¦║](?=\w)"
    r"|\d{1,7}[:.)](?:\s|(?=[\[A-Z]))|\d{1,7}\t|\d{1,7}\s{2,6}(?=[\[A-Z][a-z\s\d]|\s{20})"  # grep, cat -n
    r"|(?:[\w.~+-]{0,80}/){0,20}[\w.~+-]{1,80}\.(?:log|txt|out|err|gz|md|\d)(?:[:-]\d{1,9})?[:-]\s?"  # grep, two files
    r"|(?:/[\w.~+-]{1,80}){1,20}[:-](?:\d{1,9}[:-])?\s?"
    r"|[\w.-]{1,80}[-_]?\d{0,4}\s{1,40}\|\s"  # docker compose
    r"|\[[\w.,/:-]{1,80}\](?:<std\w{3}>:?|:)?\s(?=\s{0,8}\[\s{0,8}\d|\s{0,8}\w{3}\s{1,2}\d)"  # kubectl --prefix, pdsh
    r"|\[\d{1,6},\d{1,6}\]<std\w{3}>:\s?"  # mpirun
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}Z?\s(?:std(?:out|err)\s[FP]\s|\d\d[OE]\s)?"  # GitHub, GitLab, CRI
    r"|\[\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?Z?\]\s(?=\S)"  # Jenkins
    r"|1\d{9}(?:\d{3})?(?:\.\d{1,9})?\s{1,8}"  # epoch, of log shippers
    r"|<\d{1,3}>1\s\S{10,40}\s\S{1,80}\s\S{1,80}\s\S{1,40}\s\S{1,40}\s(?:-\s)?"  # RFC 5424
    r"|b?['\"](?=[\[\w<])"
    r")"
)
_GAP = " " * 20
_CONTINUED = re.compile(
    r" {20,60}\w{2,40} \d{1,19}(?=(?:\\n)?['\"]?,?$)"
)  # journalctl moves the further lines of a message to the right
# What stands behind a line; quotes only where something in front of it was cut.
_QUOTE_ENDS = ('\\n",', "\\n',", '\\n"', "\\n'", '",', "',", '"', "'")
_ENDS = ("│", "┃", "║", "|", "<br>", "<br/>", "<br />", "</p>", "</div>", "</li>", "</code>", " \\")
_JSON_KEYS = ("log", "message", "MESSAGE", "msg", "textPayload", "line", "body", "event", "_raw", "text", "content")
_QUOTED_VALUE = re.compile(r"\s{0,80}\"[\w.@ -]{1,40}\"\s{0,4}:\s{0,4}\"(?P<text>.{20,})\"\s{0,4},?\s{0,4}$")
_KEY_VALUE = re.compile(r"(?:^|\s)(?:msg|message|log)=\"(?P<text>(?:[^\"\\]|\\.){20,8000})\"")
_HTML = re.compile(r"&(?:gt|lt|amp|quot|#39);")

# What only the beginning of a message of the kernel's looks like.
_BEGINNING = re.compile(
    r"(?:memory(?:\+swap)?|swap|kmem): usage \d{1,18}kB, limit |Memory cgroup stats for |Tasks state \(memory"
    r"|\[ {0,2}pid {0,2}\] {1,4}uid {1,3}tgid|oom-kill:constraint=|(?:Memory cgroup o|O)ut of memory: Kill"
    r"|oom_reaper: |Task in /\S{0,400} killed as a result|Mem-Info:|CPU: \d{1,5} (?:UID: \d{1,10} )?PID: "
    r"|Call Trace:|Hardware name: |Node \d{1,4} \w{1,10} free:"
)
_INVOKED = " invoked oom-killer: "
_OWN_BRACKET = re.compile(r"\[\s{0,12}(?:pid|\d{1,10})\s{0,3}\]\s|\[<")  # the task table, a call trace
_HEAD = 200  # characters in which a stamp may stand
_STAMP = re.compile(r"\[\s{0,8}\d{1,10}\.\d{4,9}\]\s?")
_ANY_STAMP = re.compile(r"\[\s{0,8}\d{1,10}\.\d{4,9}\]\s|\[\w{2,9}\.? \w{2,9}\.? [\w ]{1,9} \d\d:\d\d:\d\d \d{4}\]\s")
# Where a line that holds several messages is divided: in front of a stamp of the kernel's, or of syslog's.
_CUT_STAMP = re.compile(r"(?<=[^\s\[\]])\s{1,8}(?=\[\s{0,8}\d{1,10}\.\d{4,9}\]\s)")
_CUT_CLOCK = re.compile(r"(?<=\S)\s{1,8}(?=\[\w{2,9}\.? \w{2,9}\.? [\w ]{1,9} \d\d:\d\d:\d\d \d{4}\]\s)")
_CUT_SYSLOG = re.compile(
    r"(?<=\S)\s{1,8}(?=(?:\w{3} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S{8,30}) [\w.-]{1,64} kernel: )"
)
_HELD = 10  # lines that the head of a report waits for one that shows its prefix
_PIECES = 6  # lines that one broken message may take

# Messages that are broken over lines: how they begin, and how they look when they are whole.
_BROKEN = (
    (re.compile(r"oom-kill:const"), re.compile(r"task=.{1,64},pid=\d{1,10},uid=\d{1,10}")),
    (
        re.compile(r"[Kk]ill(?:ed)? process\b|emory: Kill"),
        re.compile(
            r"[Kk]ill(?:ed)? process \d{1,10}(?:, UID \d{1,10},)? \(.{1,64}?\)"
            r"[, ].{0,400}(?:-rss:[\d,]{1,20}kB|score \d|same memory)"
        ),
    ),
    (re.compile(r"(?:memory|swap|kmem): usage \d"), re.compile(r"usage \d{1,18}kB, limit \d{1,18}kB, failcnt \d")),
)


def open_line(raw: str) -> str:
    """The line without the marks and envelopes that are known; never raises."""
    if "\x1b" in raw:
        raw = _ANSI.sub("", raw)
    if "{" in raw and '"' in raw and "}" in raw:
        raw = _from_json(raw) or raw
    if ('="' in raw and (match := _KEY_VALUE.search(raw))) or ('": "' in raw and (match := _QUOTED_VALUE.match(raw))):
        raw = _unquoted(match["text"])
    if "&" in raw and _HTML.search(raw):
        raw = html.unescape(raw)
    return raw


def _unquoted(text: str) -> str:
    try:
        value = json.loads(f'"{text}"')
    except ValueError:
        return text.replace('\\"', '"')
    return value.rstrip("\n") if isinstance(value, str) else text


def _from_json(raw: str) -> str | None:
    """The message of a log shipper's JSON, also where something stands in front of it."""
    start = raw.find("{")
    if raw.startswith("{") and '"MESSAGE"' in raw:
        return None  # journalctl -o json: lines.py knows its other fields, too
    try:
        entry, _ = json.JSONDecoder().raw_decode(raw, start)
    except (ValueError, RecursionError):
        return None
    for _ in range(3):
        if not isinstance(entry, dict):
            return None
        value = next((entry[key] for key in _JSON_KEYS if isinstance(entry.get(key), str)), None)
        if value is not None:
            return str(value).rstrip("\n")
        entry = next((value for value in entry.values() if isinstance(value, dict)), None)
    return None


def _cut_marks(text: str) -> str:
    """Without marks at the front, as long as something is left."""
    for _ in range(6):
        match = _MARK.match(text)
        if match is None or match.end() == len(text):
            break
        text = text[match.end() :]
    return text


def _without_end(text: str, *, quoted: bool) -> str:
    bare = text.rstrip()
    for end in (*_ENDS, *_QUOTE_ENDS) if quoted else _ENDS:
        if bare.endswith(end):
            return bare[: -len(end)].rstrip()
    return text


def _shape(prefix: str) -> re.Pattern[str]:
    """What the prefixes of the other lines look like: other digits, other spaces."""
    parts = re.findall(r"\d+|\s+|[^\d\s]+", prefix)
    return re.compile(
        "".join(r"\d{1,20}" if p[0].isdigit() else r"\s{1,40}" if p[0].isspace() else re.escape(p) for p in parts)
    )


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """`text` is the line without its wrapping; `raw` the line as it was, for quotes."""

    text: str
    raw: str
    number: int


class Unwrapper:
    """feed() it every line in order, then close() it: what comes out is the same lines, unwrapped."""

    def __init__(self) -> None:
        self._prefix: re.Pattern[str] | None = None  # in front of the lines of this report
        self._held: list[Unwrapped] = []  # from the head of a report on, until its prefix is known
        self._pieces: list[Unwrapped] = []  # of a message that goes on in the next line
        self._whole: re.Pattern[str] | None = None

    @property
    def waiting(self) -> bool:
        """Whether the next line is needed, whatever stands in it."""
        return bool(self._held) or bool(self._pieces)

    def feed(self, raw: str, number: int) -> Iterator[Unwrapped]:
        opened = open_line(raw)
        pieces = _divided(opened)
        for piece in pieces:
            text = self._without_prefix(piece)
            yield from self._joined(Unwrapped(text, raw if len(pieces) == 1 else piece, number))

    def close(self) -> Iterator[Unwrapped]:
        yield from self._give_up()
        held, self._held = self._held, []
        yield from held

    def _without_prefix(self, text: str) -> str:
        line = text
        if self._prefix is not None and (match := self._prefix.match(text)):
            text = text[match.end() :]
        elif (stamp := _ANY_STAMP.search(text[:_HEAD])) is not None:
            if stamp.start() and "kernel:" not in text[: stamp.start()]:
                text = text[stamp.start() :]
        elif text[:1] != "{" and not _OWN_BRACKET.match(text):
            text = _cut_marks(text)
        text = _without_end(text, quoted=text is not line)
        if _GAP in text and (match := _CONTINUED.search(text)):
            text = match[0]
        return text

    def _joined(self, line: Unwrapped) -> Iterator[Unwrapped]:
        """Messages that a terminal or a mail has broken become one line again."""
        if self._pieces and any(first.search(line.text) and whole.search(line.text) for first, whole in _BROKEN):
            yield from self._give_up()  # this line is whole by itself
        if self._pieces and self._whole is not None:
            for space in ("", " "):
                text = space.join(piece.text.strip() for piece in (*self._pieces, line))
                if self._whole.search(text):
                    self._pieces = []
                    yield from self._hold(Unwrapped(text, text, line.number))
                    return
            if len(self._pieces) < _PIECES and not _begins(line.text):
                self._pieces.append(line)
                return
            yield from self._give_up()
        if "ill" in line.text or ": usage" in line.text:
            for beginning, whole in _BROKEN:
                if beginning.search(line.text) and not whole.search(line.text):
                    self._pieces, self._whole = [line], whole
                    return
        yield from self._hold(line)

    def _give_up(self) -> Iterator[Unwrapped]:
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            yield from self._hold(piece)

    def _hold(self, line: Unwrapped) -> Iterator[Unwrapped]:
        """The head of a report waits for a line that shows what stands in front of it."""
        text = line.text
        if not self._held:
            if _INVOKED in text and "kernel:" not in text[:_HEAD] and not _ANY_STAMP.search(text[:_HEAD]):
                self._held = [line]
                return
            self._learn(text)
            yield line if self._prefix is None else Unwrapped(self._without_prefix(text), line.raw, line.number)
            return
        self._held.append(line)
        if self._learn(text) or len(self._held) > _HELD:
            held, self._held = self._held, []
            for one in held:
                yield Unwrapped(self._without_prefix(one.text), one.raw, one.number)

    def _learn(self, text: str) -> bool:
        """Whether this line shows where a message begins; what stands in front of it is the prefix from now on."""
        match = _BEGINNING.search(text[:400]) if "k" in text or "m" in text else None
        if match is None:
            return False
        prefix = text[: match.start()]
        if prefix.strip() and "kernel:" not in prefix and not _STAMP.search(prefix):
            self._prefix = _shape(prefix)
        return True


def _begins(text: str) -> bool:
    return _INVOKED in text or _BEGINNING.search(text[:400]) is not None or _STAMP.match(text.strip()) is not None


def _divided(text: str) -> list[str]:
    """The messages of a line that has lost its line ends."""
    if len(text) < 120 or (text.count("[") < 2 and text.count("kernel: ") < 2):
        return [text]
    for cut in (_CUT_SYSLOG, _CUT_CLOCK, _CUT_STAMP):
        pieces = cut.split(text)
        if len(pieces) > 2 or (len(pieces) == 2 and _ANY_STAMP.search(pieces[0])):
            return pieces
    return [text]
