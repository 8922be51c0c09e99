"""A shape: the text around the buffer, with places for what differs from program to program.

@ask starts the asking (at the top where the text has none), @start makes the state and where it goes, @flush defines
and registers the callback, @declare says global or nonlocal, `@fill X` puts the values of X into the buffer, @inline
may write a full buffer as the callback does, @finish flushes what is left and reports.
"""

from __future__ import annotations

from dataclasses import dataclass

PLACES = ("global", "closure", "attribute", "class", "item")


@dataclass(frozen=True)
class Shape:
    text: str
    ordered: bool = True  # the values come out in their order, where buffer and sink keep it
    places: tuple[str, ...] = PLACES
    kinds: tuple[str, ...] = ()  # empty: any
    fills: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()
    alone: bool = False  # several threads fill it without a lock: only what Python itself makes safe
    one_line: bool = False
    lock: str = ""  # the callback does all of its work under it
    cell: bool = False  # the text runs through exec(), as a notebook's cells do
    asks: tuple[str, ...] = ("thread", "thread", "signal")
    seconds: float = 2.0
    no_callback: str = ""  # why a whole run may pass without a callback that moves anything
    errors: bool = False  # the callback fails now and then


LOOP = """
@start
@flush
for doc in documents():
    checkpoint()
    @fill encode(doc)
    @inline
@finish
"""

LOOPS: dict[str, Shape] = {
    "for": Shape(LOOP),
    "for over checkpoints": Shape(
        LOOP.replace("documents()", "checkpoints(documents())").replace("    checkpoint()\n", "")
    ),
    "for on one line": Shape(
        "@start\n@flush\nfor doc in checkpoints(documents()): @fill encode(doc)\n@finish", one_line=True
    ),
    "while with a condition": Shape("""
@start
@flush
docs = documents()
doc = next(docs, None)
while doc is not None:
    checkpoint()
    @fill encode(doc)
    @inline
    doc = next(docs, None)
@finish
"""),
    "while with a walrus": Shape("""
@start
@flush
docs = documents()
while (doc := next(docs, None)) is not None:
    checkpoint()
    @fill encode(doc)
    @inline
@finish
"""),
    "while True, break, continue": Shape("""
@start
@flush
docs = documents()
turns = 0
while True:
    checkpoint()
    turns += 1
    if turns % 3 == 0:
        continue
    doc = next(docs, None)
    if doc is None:
        break
    @fill encode(doc)
    @inline
@finish
"""),
    "files, then documents": Shape("""
@start
@flush
while not kit.enough():
    for doc in itertools.islice(documents(), 20):
        checkpoint()
        @fill encode(doc)
    @inline
@finish
"""),
    "checkpoint in the outer loop only": Shape("""
@start
@flush
while not kit.enough():
    checkpoint()
    for doc in itertools.islice(documents(), 20):
        @fill encode(doc)
        @inline
@finish
"""),
    "checkpoint in both loops": Shape("""
@start
@flush
for part in checkpoints(iter(lambda: kit.enough(), True)):
    batch = []
    for doc in checkpoints(itertools.islice(documents(), 7)):
        batch.extend(encode(doc))
    @fill batch
    @inline
@finish
"""),
    "try and finally": Shape("""
@start
@flush
done = 0
for doc in documents():
    try:
        checkpoint()
        if doc % 5 == 0:
            raise ValueError(doc)
        @fill encode(doc)
    except ValueError:
        @fill encode(doc)
    finally:
        done += 1
    @inline
@finish
"""),
    "checkpoint in a finally": Shape("""
@start
@flush
for doc in documents():
    try:
        if doc % 5 == 0:
            continue
    finally:
        @fill encode(doc)
        checkpoint()
@finish
"""),
    "with in the loop": Shape("""
@start
@flush
for doc in documents():
    with open(os.devnull) as nothing, contextlib.suppress(KeyError):
        checkpoint()
        @fill encode(doc)
        @inline
        raise KeyError(doc)
@finish
"""),
    "function": Shape("""
@start
@flush
def work(docs):
    @declare
    for doc in docs:
        checkpoint()
        @fill encode(doc)
        @inline

work(documents())
@finish
"""),
    "function per file": Shape("""
@start
@flush
def process(path):
    @declare
    for doc in checkpoints(path):
        @fill encode(doc)
    @inline

while not kit.enough():
    process(itertools.islice(documents(), 15))
@finish
"""),
    "function per document": Shape("""
@start
@flush
def add(doc):
    @declare
    @fill encode(doc)
    @inline

for doc in documents():
    checkpoint()
    add(doc)
@finish
"""),
    "checkpoint in the function per document": Shape("""
@start
@flush
def add(doc):
    @declare
    checkpoint()
    @fill encode(doc)
    @inline

for doc in documents():
    add(doc)
@finish
"""),
    "recursion": Shape("""
@start
@flush
def walk(depth):
    @declare
    if depth == 0:
        for doc in itertools.islice(documents(), 3):
            checkpoint()
            @fill encode(doc)
        return 1
    return sum(walk(depth - 1) for _ in range(2)) + walk(depth - 1)

while not kit.enough():
    walk(3)
@finish
"""),
    "recursion without a loop": Shape("""
@start
@flush
def step(docs, depth):
    @declare
    checkpoint()
    doc = next(docs, None)
    if doc is None:
        return
    @fill encode(doc)
    @inline
    if depth:
        step(docs, depth - 1)

while not kit.enough():
    step(documents(), 40)
@finish
"""),
    "generator that fills": Shape("""
@start
@flush
def batches():
    @declare
    for doc in documents():
        checkpoint()
        @fill encode(doc)
        @inline
        if doc % 10 == 9:
            yield doc

for batch in batches():
    pass
@finish
"""),
    "generator that yields batches": Shape("""
@start
@flush
def batches():
    batch = []
    for doc in documents():
        batch.extend(encode(doc))
        if doc % 7 == 6:
            yield batch
            batch = []
    if batch:
        yield batch

for batch in batches():
    checkpoint()
    @fill batch
    @inline
@finish
"""),
    "checkpoint in the generator that reads": Shape("""
@start
@flush
def read():
    for doc in checkpoints(documents()):
        checkpoint()
        yield doc

for doc in read():
    @fill encode(doc)
    @inline
@finish
"""),
    "yield from": Shape("""
@start
@flush
def inner():
    yield from checkpoints(documents())

def outer():
    yield from inner()

for doc in outer():
    @fill encode(doc)
    @inline
@finish
"""),
    "enumerate and zip": Shape("""
@start
@flush
for number, (doc, _) in enumerate(zip(checkpoints(documents()), itertools.count())):
    @fill encode(doc)
    @inline
@finish
"""),
    "map": Shape("""
@start
@flush
for ids in map(encode, checkpoints(documents())):
    @fill ids
    @inline
@finish
"""),
    "list of a map": Shape("""
@start
@flush
def add(doc):
    @declare
    @fill encode(doc)
    @inline

list(map(add, checkpoints(documents())))
@finish
"""),
    "any of a generator": Shape("""
@start
@flush
def add(doc):
    @declare
    @fill encode(doc)
    @inline

any(add(doc) for doc in checkpoints(documents()))
@finish
"""),
    "cell": Shape(LOOP, places=("global", "attribute", "item"), cell=True),
    "cell with a function": Shape(
        """
@start
@flush
def work(docs):
    @declare
    for doc in checkpoints(docs):
        @fill encode(doc)
        @inline

work(documents())
@finish
""",
        places=("global", "attribute", "class"),
        cell=True,
    ),
    "loop left early, and again": Shape("""
@start
@flush
while not kit.enough():
    for turn, doc in enumerate(checkpoints(documents())):
        @fill encode(doc)
        @inline
        if turn == 5:
            break
@finish
"""),
}
