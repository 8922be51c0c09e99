"""Shapes whose point is the object that buffers, the callback itself, or a statement that is half done."""

from __future__ import annotations

from tests.attack.shapes import LOOP, Shape

_SELF = """
class Writer:
    def __init__(self):
        @start

    def flush(self):
        @take

    def add(self, doc):
        @fill encode(doc)

    def run(self, docs):
        for doc in docs:
            checkpoint()
            @fill encode(doc)
            @inline

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while SIZE:
            self.flush()


"""
_IN_PLACE = (
    "extend",
    "append",
    "slice",
    "generator",
    "chain",
    "walrus",
    "update",
    "add one",
    "iadd",
    "setdefault",
    "two keys",
)
_TAKES_IN_PLACE = ("give, clear", "copy, clear", "slice delete", "slice assign", "count", "half", "pop", "inner")
_ARGUMENT = ("list", "list of lists", "dict", "defaultdict", "deque", "set")
_HALF_DONE = "the checkpoint lies inside the statement that fills: on_pressure's callbacks wait for its end"

OBJECTS: dict[str, Shape] = {
    "method": Shape(
        _SELF + "writer = Writer()\non_pressure(writer.flush)\nwriter.run(documents())\n"
        "while SIZE:\n    writer.flush()\n@report",
        places=("self",),
    ),
    "method per document": Shape(
        _SELF + "writer = Writer()\non_pressure(writer.flush)\nfor doc in checkpoints(documents()):\n"
        "    writer.add(doc)\nwhile SIZE:\n    writer.flush()\n@report",
        places=("self",),
    ),
    "object in a with": Shape(
        _SELF + "with Writer() as writer:\n    on_pressure(writer.flush)\n    for doc in documents():\n"
        "        checkpoint()\n        writer.add(doc)\n@report",
        places=("self",),
    ),
    "object as an argument": Shape(
        _SELF + "def main(writer, docs):\n    for doc in checkpoints(docs):\n        writer.add(doc)\n\n"
        "writer = Writer()\non_pressure(lambda: writer.flush())\nmain(writer, documents())\n"
        "while SIZE:\n    writer.flush()\n@report",
        places=("self",),
    ),
    "object made and run in one statement": Shape(
        _SELF + "class Registered(Writer):\n    def __init__(self):\n        super().__init__()\n"
        "        on_pressure(self.flush)\n\n    def run(self, docs):\n        super().run(docs)\n"
        "        return self\n\nwriter = Registered().run(documents())\nwhile SIZE:\n    writer.flush()\n@report",
        places=("self",),
    ),
    "buffer as an argument": Shape(
        """
@start
@flush
def fill(buffer, docs):
    for doc in checkpoints(docs):
        @fill buffer encode(doc)

fill($tokens, documents())
@finish
""",
        kinds=_ARGUMENT,
        fills=_IN_PLACE,
        takes=_TAKES_IN_PLACE,
    ),
    "buffer under another name": Shape(
        """
@start
@flush
def work():
    @declare
    buffer = $tokens
    for doc in checkpoints(documents()):
        @fill buffer encode(doc)

work()
@finish
""",
        kinds=_ARGUMENT,
        fills=_IN_PLACE,
        takes=_TAKES_IN_PLACE,
    ),
}

CALLBACKS: dict[str, Shape] = {
    "callback that fails first": Shape(
        LOOP.replace("@flush", "@flush fails"),
        errors=True,
    ),
    "callback that passes checkpoints": Shape(LOOP.replace("@flush", "@flush checkpoints")),
    "callback that registers one more": Shape(LOOP.replace("@flush", "@flush registers")),
    "two callbacks": Shape(LOOP.replace("@flush", "@flush twice"), kinds=("train and val", "list", "array", "dict")),
    "callback that takes its time": Shape(LOOP.replace("@flush", "@flush slow")),
    "script flushes at every turn": Shape(LOOP.replace("@inline", "if doc % 3 == 0:\n        flush()")),
    "handler that passes a checkpoint": Shape(
        "def passes(*_):\n    checkpoint()\n\nsignal.signal(signal.SIGUSR1, passes)\n"
        + LOOP.replace("@inline", "if doc % 4 == 0:\n        signal.raise_signal(signal.SIGUSR1)")
    ),
}

HALF_DONE: dict[str, Shape] = {
    "checkpoint inside encode": Shape(
        """
@start
@flush
def encode_long(doc):
    checkpoint()
    return encode(doc)

for doc in documents():
    @fill encode_long(doc)
@finish
""",
        no_callback=_HALF_DONE,
        seconds=0.4,
    ),
    "checkpoint inside encode, in a function": Shape(
        """
@start
@flush
def encode_long(doc):
    return [token for one in checkpoints([doc]) for token in encode(one)]

def work():
    @declare
    for doc in documents():
        @fill encode_long(doc)
        @inline

work()
@finish
""",
        no_callback=_HALF_DONE,
        seconds=0.4,
    ),
    "checkpoint inside and outside": Shape("""
@start
@flush
def encode_long(doc):
    checkpoint()
    return encode(doc)

for doc in documents():
    checkpoint()
    @fill encode_long(doc)
    @inline
@finish
"""),
    "checkpoint inside a cell's statement": Shape(
        """
@start
@flush
def encode_long(doc):
    checkpoint()
    return encode(doc)

for doc in documents():
    @fill encode_long(doc)
@finish
""",
        no_callback=_HALF_DONE,
        seconds=0.4,
        cell=True,
        places=("global", "item"),
    ),
    "one statement for all": Shape(
        """
@start
@flush
def work():
    @declare
    @fill list(itertools.chain.from_iterable(map(encode, checkpoints(documents()))))

work()
@finish
""",
        no_callback="one statement fills it: there is nothing before its end",
        seconds=0.3,
        kinds=("list", "list of lists", "dict", "defaultdict", "array", "deque", "bytearray", "set", "numpy"),
    ),
    "method that checkpoints while it encodes": Shape(
        """
class Writer:
    def __init__(self):
        @start

    def flush(self):
        @take

    def encode(self, doc):
        checkpoint()
        return encode(doc)

    def run(self):
        for doc in documents():
            @fill self.encode(doc)

writer = Writer()
on_pressure(writer.flush)
writer.run()
while SIZE:
    writer.flush()
@report
""",
        places=("self",),
        no_callback=_HALF_DONE,
        seconds=0.4,
    ),
}
