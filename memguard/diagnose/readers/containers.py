"""What Kubernetes and Docker report about a container that ran out of memory -> events. Pure.

Covers `kubectl describe`, `kubectl get -o yaml|json`, `kubectl get pods`, `docker inspect`, `docker events`.
They report what the kernel did to the container's first process; a killed child goes unreported. Names and limits stand
on other lines than the verdict, before or after it, so the reader keeps what it has seen of the document so far.
"""

from __future__ import annotations

import re
from dataclasses import replace

from memguard.diagnose.clues import is_sentence, read_size
from memguard.diagnose.lines import Line, event_at
from memguard.diagnose.log_reader import LogReader
from memguard.records.diagnosis import Event

__all__ = ["ContainerReader"]

_REASON = re.compile(r"[Rr]eason\"?(?::\s{1,12}|=)\"?OOM ?Killed\b")
_INSPECTED = re.compile(r"\"?OOMKilled\"?\s{0,4}[:=]\s{0,4}[Tt]rue\b")
_LISTED = re.compile(r"^(\S{1,253})\s{1,80}\d{1,4}/\d{1,4}\s{1,20}(?:Init:)?OOMKilled\s")
_DOCKER_EVENT = re.compile(r"container oom ([0-9a-f]{12,64})(?: \((.{0,1000})\))?")
_KUBE_NAME = re.compile(r"^\s{0,40}(?:- )?\"?name\"?:\s{1,8}\"?([\w.-]{1,253})\"?,?$")
_DOCKER_NAME = re.compile(r"^\s{0,16}\"Name\": \"/([\w.-]{1,128})\"")
_DOCKER_LIMIT = re.compile(r"^\s{0,16}\"Memory\": (\d{1,18}),?$")
_DOCKER_ID = re.compile(r"^\s{0,12}\"Id\": \"([0-9a-f]{64})\"")
_DESCRIBED = re.compile(r"^ {2}([\w.-]{1,253}):\s{0,4}$")
_SECTION = re.compile(r"^(?:Init )?Containers:\s{0,4}$")
_MEMORY = re.compile(r"^\s{1,40}\"?memory\"?:\s{1,12}\"?(\d{1,18}(?:\.\d{1,6})?\s?(?:[KMGT]i?|k|m)?)\"?,?$")
_LIMITS = re.compile(r"^\s{1,40}\"?limits\"?:\s{0,4}\{?\s{0,4}$", re.IGNORECASE)
_POD = re.compile(r"^Name:\s{1,40}([\w.-]{1,253})$")
# A name may follow a verdict within so many lines (lastState, ready, restartCount, …).
_NEAR = 16
_MAX_LIMITS = 64  # containers of a document whose limits are kept


class ContainerReader(LogReader):
    """An event comes out when the next one begins or its document is over, so that its name and limit are known."""

    TRIGGERS = ("OOMKilled", "OOM Killed", "container oom ")
    REPORTERS = frozenset({"kubernetes", "docker"})

    def __init__(self) -> None:
        self._pod: str | None = None
        self._container: str | None = None  # the section of `kubectl describe` that is being read
        self._describing = False  # inside the list of containers of `kubectl describe`
        self._name: str | None = None  # the last name in a manifest
        self._limits: dict[str | None, int] = {}  # of containers in a manifest, bytes
        self._in_limits = False
        self._open: Event | None = None
        self._age = 0

    def feed(self, line: Line) -> list[Event]:
        text = line.body or line.raw  # the indentation tells where in the document a line stands
        finished: list[Event] = []
        if "OOM" in text or "container oom " in text:
            event = self._read_kill(text, line)
            if event is not None:
                finished, self._open, self._age = self.close(), event, 0
                return finished
        if self._open is not None:
            self._age += 1
            if self._age > _NEAR * 20:
                finished = self.close()
        if line.program is None and line.uptime is None and line.time is None:  # a document, no log
            self._read_context(text)
        return finished

    def close(self) -> list[Event]:
        event, self._open = self._open, None
        if event is None:
            return []
        if event.limit is None and event.killer == "kubernetes" and event.task in self._limits:
            return [replace(event, limit=self._limits[event.task])]
        return [event]

    def _read_kill(self, text: str, line: Line) -> Event | None:
        event = None
        if _REASON.search(text) and not is_sentence(text):
            event = _event(line, "kubernetes", self._container, self._pod)
        elif _INSPECTED.search(text):
            event = _event(line, "docker", None, None)
            if self._name is not None and len(self._name) == 64:
                event = replace(event, task_memcg=f"/docker/{self._name}")
        elif match := _LISTED.match(text):
            event = _event(line, "kubernetes", None, match[1])
        elif match := _DOCKER_EVENT.search(text):
            name = re.search(r"\bname=([\w.-]{1,128})", match[2] or "")
            event = replace(_event(line, "docker", name[1] if name else None, None), task_memcg=f"/docker/{match[1]}")
        return event

    def _read_context(self, text: str) -> None:
        if match := _POD.match(text):
            self._pod, self._container = match[1], None
        elif text[:1].strip():  # a heading at the left margin
            self._describing, self._container = _SECTION.match(text) is not None, None
        elif self._describing and (match := _DESCRIBED.match(text)):
            self._container, self._in_limits = match[1], False
        elif _LIMITS.match(text):
            self._in_limits = True
        elif "emory" in text and (match := _MEMORY.match(text)):
            if self._in_limits and len(self._limits) < _MAX_LIMITS:
                size = read_size(match[1])
                if size is not None:
                    self._limits[self._container or self._name] = size
            self._in_limits = False
        elif match := _KUBE_NAME.match(text):
            self._name = match[1]
            if self._open is not None and self._open.killer == "kubernetes" and self._age <= _NEAR:
                self._open = replace(self._open, task=self._open.task or match[1])
        elif self._open is not None and self._open.killer == "docker":
            if match := _DOCKER_NAME.match(text):
                self._open = replace(self._open, task=self._open.task or match[1])
            elif (match := _DOCKER_LIMIT.match(text)) and match[1] != "0":
                self._open = replace(self._open, limit=int(match[1]))
        elif match := _DOCKER_ID.match(text):
            self._name = match[1]


def _event(line: Line, killer: str, container: str | None, pod: str | None) -> Event:
    return event_at(line, killer, task=container, task_memcg=f"pod {pod}" if pod else None)
