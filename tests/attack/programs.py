"""From a shape and a seed to a program, and from a program to what came out of it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tests.attack.buffers import KINDS, SINKS, Kind, Sink
from tests.attack.callbacks import CALLBACKS, HALF_DONE, OBJECTS
from tests.attack.kit import HANG
from tests.attack.processes import PROCESSES
from tests.attack.shapes import LOOPS, Shape
from tests.attack.tasks import TASKS
from tests.attack.threads import THREADS

ROOT = Path(__file__).resolve().parents[2]
SHAPES: dict[str, Shape] = {**LOOPS, **OBJECTS, **CALLBACKS, **HALF_DONE, **THREADS, **TASKS, **PROCESSES}

PRELUDE = """
import array, asyncio, collections, concurrent.futures, contextlib, functools, gzip, hashlib, itertools, multiprocessing
import os, queue, signal, sys, threading, time
$numpy
from memguard import checkpoint, checkpoints, on_pressure
from tests.attack import kit

OUT, STEP, BLOCK, statuses = os.path.dirname(os.path.abspath(__file__)), 20, bytes($block), []
numbers = itertools.count()


def documents():
    while not kit.enough():
        yield next(numbers)


def encode(doc):
    hashlib.sha256(BLOCK).digest()
    return list(range(doc * STEP, doc * STEP + STEP))


def pack(ids):
    return array.array("I", ids).tobytes()

"""
MARKER = re.compile(r"(\s*)(.*?)@(ask|start|flush|take|declare|fill|inline|finish|report)(?: (.*))?$")
REGISTER = {
    "call": "on_pressure(flush)",
    "lambda": "on_pressure(lambda: flush())",
    "partial": "on_pressure(functools.partial(flush))",
    "wrapper": "def low_memory():\n    flush()\n\non_pressure(low_memory)",
    "decorated wrapper": "@on_pressure\ndef low_memory():\n    flush()",
    "object": "class Flusher:\n    def __call__(self):\n        flush()\n\non_pressure(Flusher())",
    "bound method": "class Flusher:\n    def now(self):\n        flush()\n\non_pressure(Flusher().now)",
}
STORE = {
    "attribute": "class Store:\n    pass\n\nstore = Store()",
    "class": "class Store:\n    pass",
    "item": "state = {}",
}
CELLS = """
import ast, linecache
cell = TEXT
linecache.cache["<ipython-input-1>"] = (len(cell), None, cell.splitlines(True), "<ipython-input-1>")
for statement in ast.parse(cell).body:
    exec(compile(ast.Module([statement], []), "<ipython-input-1>", "exec"), globals())
"""


@dataclass(frozen=True)
class Choice:
    """What the seed decides."""

    place: str
    kind: str
    fill: str
    take: str
    sink: str
    register: str
    inline: str
    how: str
    block: int
    switch: float | None

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in vars(self).items())


def _fills(shape: Shape, kind: Kind) -> list[str]:
    names = [name for name in kind.fills if not shape.fills or name in shape.fills]
    if shape.alone:
        names = [name for name in names if name in kind.alone]
    if shape.one_line:
        names = [name for name in names if "\n" not in kind.fills[name]]
    return names


def _takes(shape: Shape, kind: Kind) -> list[str]:
    return [name for name in kind.takes if not shape.takes or name in shape.takes]


def choose(name: str, seed: int) -> Choice:
    shape, spread = SHAPES[name], random.Random(f"{name} {seed}")
    kinds = [key for key, kind in KINDS.items() if _fills(shape, kind) and _takes(shape, kind)]
    kinds = [key for key in kinds if not shape.kinds or key in shape.kinds]
    kinds = [key for key in kinds if not (KINDS[key].sinks and shape.sinks)]
    key = kinds[(seed + spread.randrange(2)) % len(kinds)]
    kind = KINDS[key]
    how = spread.choice(shape.asks)
    # Who asks from a thread gets its turn at random moments only if turns are short: else always in a write, say.
    switches = [1e-4, 1e-5] if how == "thread" else [None, 1e-4, 1e-5]
    return Choice(
        place=spread.choice(shape.places),
        kind=key,
        fill=spread.choice(_fills(shape, kind)),
        take=spread.choice(_takes(shape, kind)),
        sink=spread.choice(kind.sinks or shape.sinks or tuple(SINKS)),
        register=spread.choice(["decorator", *REGISTER]),
        inline=spread.choice(["no", "no", "flush()", "flush()" if shape.lock else "own code"]),
        how=how,
        block=spread.choice([2_000, 20_000, 100_000]),
        switch=spread.choice(switches),
    )


class Renderer:
    """Fills in a shape's text, line by line."""

    def __init__(self, shape: Shape, choice: Choice, seed: int) -> None:
        self.shape, self.choice, self.seed = shape, choice, seed
        self.kind: Kind = KINDS[choice.kind]
        self.sink: Sink = SINKS[choice.sink]
        self.names = (*self.kind.names, *self.sink.names)

    def render(self) -> str:
        text = self.lines(self.shape.text)
        if self.shape.places == ("self",):
            text = self.sink.start + "\n" + text
        if self.choice.place == "closure":
            text = f"def program():\n{textwrap.indent(text, '    ')}\n\nprogram()\n"
        if "@ask" not in self.shape.text and "ask_in_child(number)" not in self.shape.text:
            text = self.ask() + "\n" + text
        if self.shape.cell:
            text = self.cells(text)
        prelude = Template(PRELUDE).substitute(
            numpy="import numpy as np" if "np." in text else "", block=self.choice.block
        )
        return prelude + text

    def lines(self, text: str) -> str:
        rendered = []
        for line in text.splitlines():
            found = MARKER.match(line)
            if not found:
                rendered.append(self.refer(line))
                continue
            indent, before, marker, rest = found.groups()
            new = getattr(self, f"put_{marker}")(rest or "")
            if before:
                rendered.append(indent + before + new)
            else:
                rendered.append(textwrap.indent(new, indent))
        return "\n".join(rendered)

    def refer(self, text: str) -> str:
        prefix = {"attribute": "store.", "class": "Store.", "self": "self."}.get(self.choice.place, "")
        item = self.choice.place == "item"
        references = {name: f'state["{name}"]' if item else prefix + name for name in self.names}
        text = Template(text).safe_substitute(references)
        text = text.replace("SIZE", Template(self.kind.size).safe_substitute(references))
        text = text.replace("VALUES", self.sink.values).replace(
            "ORDERED", str(self.shape.ordered and self.kind.ordered)
        )
        if self.choice.place == "self" and not text.startswith(" ") and text.startswith("while "):
            text = text.replace("self.", "writer.")
        return text

    def ask(self) -> str:
        choice = self.choice
        return f"kit.ask({self.seed}, {choice.how!r}, {self.shape.seconds}, {choice.switch})"

    def put_ask(self, _: str) -> str:
        return self.ask()

    def put_start(self, _: str) -> str:
        state = "\n".join([self.kind.start, *(f"${name} = 0" for name in self.sink.names)])
        if self.choice.place == "self":
            return self.refer(state)
        return self.refer("\n".join([self.sink.start, STORE.get(self.choice.place, ""), state]))

    def put_declare(self, _: str) -> str:
        word = {"global": "global", "closure": "nonlocal"}.get(self.choice.place)
        return f"{word} {', '.join(self.names)}" if word else ""

    def put_fill(self, source: str) -> str:
        text = self.kind.fills[self.choice.fill]
        if source.startswith("buffer "):
            text, source = text.replace("$tokens", "buffer"), source[len("buffer ") :]
        if self.choice.place == "self":
            text = text.replace("flush()", "self.flush()")
        return self.refer(Template(text).safe_substitute(x=source))

    def put_take(self, variant: str, note: str = "kit.note(ids)\n") -> str:
        take = self.kind.takes[self.choice.take]
        given = "list(ids)" if "@give" in take else "ids"
        give = Template(self.sink.give).safe_substitute(given=given)
        middle = {"slow": "time.sleep(0.01)\n", "checkpoints": "checkpoint()\n"}.get(variant, "")
        give = f"{note}{middle}{give}"
        return self.refer(take.replace("@give", give) if "@give" in take else f"{take}\n{give}")

    def put_inline(self, _: str) -> str:
        full, flush = f"if {self.kind.size} >= 1234:\n", self.choice.inline
        if flush == "no":
            return ""
        if flush == "own code":
            return self.refer(full + textwrap.indent(self.put_take("", note=""), "    "))
        if self.choice.place == "self":
            flush = "self." + flush
        return self.refer(full + "    " + flush)

    def put_flush(self, variant: str) -> str:
        before = {"fails": "kit.fail_sometimes()", "checkpoints": "for _ in checkpoints(range(3)):\n    pass"}
        body = before.get(variant, "") + "\n" + self.put_take(variant)
        if variant == "registers":
            body += "\nif not extra:\n    extra.append(on_pressure(lambda: extra.append(1)))"
        if self.shape.lock:
            body = f"with {self.shape.lock}:\n{textwrap.indent(body, '    ')}"
        body = self.put_declare("") + "\n" + body
        decorator = "@on_pressure\n" if self.choice.register == "decorator" else ""
        text = f"extra = []\n{decorator}def flush():\n{textwrap.indent(body, '    ')}\n\n"
        text += REGISTER.get(self.choice.register, "")
        return self.refer(text + ("\non_pressure(lambda: flush())\n" if variant == "twice" else "\n"))

    def put_finish(self, _: str) -> str:
        return self.refer(f"while SIZE:\n    flush()\n{self.put_report('')}")

    def put_report(self, _: str) -> str:
        return self.refer(f"{self.sink.close}\nkit.report(next(numbers) * STEP, VALUES, ORDERED, statuses=statuses)")

    def cells(self, text: str) -> str:
        """As one exec() of a string, or a statement at a time with the source where tracebacks find it, as IPython."""
        if self.seed % 2:
            return f'exec(compile({text!r}, "<cell 1>", "exec"), globals())\n'
        return CELLS.replace("TEXT", repr(text))


def source(name: str, seed: int) -> str:
    choice = choose(name, seed)
    return f'"""{name}: {choice}."""\n' + Renderer(SHAPES[name], choice, seed).render()


@dataclass(frozen=True)
class Outcome:
    returncode: int
    found: dict[str, object]  # what the program judged of itself; empty where it did not come to that
    stderr: str

    def wrong(self, shape: Shape) -> str:
        """Empty where all is right."""
        if self.returncode or not self.found:
            return f"exit {self.returncode}: {self.stderr[-2000:]}"
        wrong = [f"{name} {self.found[name]}" for name in ("lost", "twice", "disordered") if self.found[name]]
        if any(self.found["statuses"]):  # type: ignore[arg-type]
            wrong.append(f"children ended with {self.found['statuses']}")
        if self.found["errors"] and not shape.errors:
            wrong.append(f"callbacks failed: {self.found['errors']}")
        # A callback or two may find an empty buffer, where a tracer makes all slow say; a number of them do not.
        few = 0 < int(self.found["called"]) < 3  # type: ignore[call-overload]
        if not self.found["moved"] and not few and not shape.no_callback:
            wrong.append(f"{self.found['called']} callbacks called, none moved anything; {self.found['asked']} asks")
        return "; ".join(wrong)


def run(text: str, directory: Path, command: Sequence[str] = (), python: str = sys.executable, **more: str) -> Outcome:
    """Runs a program's text with `command` (such as -m coverage run) between the interpreter and the file."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "program.py"
    program.write_text(text)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", **more}
    process = subprocess.Popen(
        [python, *command, str(program)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=directory,
        start_new_session=True,  # so that its children end with it
    )
    try:
        out, errors = process.communicate(timeout=HANG)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler says where it stands
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return Outcome(124, {}, f"no end in {HANG} s: {process.communicate()[1]}")
    lines = [line for line in out.splitlines() if line.startswith("{")]
    return Outcome(process.returncode, json.loads(lines[-1]) if lines else {}, errors)


if __name__ == "__main__":
    print(source(sys.argv[1], int(sys.argv[2])))
