"""Shapes with several threads."""

from __future__ import annotations

from tests.attack.shapes import Shape

_WORK = """
def work():
    @declare
    for doc in documents():
        checkpoint()
        @fill encode(doc)

"""
_RUN = """
threads = [threading.Thread(target=work) for _ in range(MANY)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
@finish
"""
_UNDER_LOCK = """
lock = threading.Lock()
@start
@flush
def work():
    @declare
    for doc in documents():
        checkpoint()
        ids = encode(doc)
        with lock:
            @fill ids
        @inline
"""
_THREAD_AND_LOOP = "@start\n@flush\n" + _WORK


def threads(many: int) -> str:
    return _RUN.replace("MANY", str(many))


THREADS: dict[str, Shape] = {
    "two threads": Shape(_THREAD_AND_LOOP + threads(2), ordered=False, alone=True),
    "four threads": Shape(_THREAD_AND_LOOP + threads(4), ordered=False, alone=True),
    "two threads, lock": Shape(_UNDER_LOCK + threads(2), ordered=False, lock="lock"),
    "four threads, lock": Shape(_UNDER_LOCK + threads(4), ordered=False, lock="lock"),
    "encoding under the lock": Shape(
        _UNDER_LOCK.replace("        ids = encode(doc)\n", "").replace("@fill ids", "@fill encode(doc)") + threads(2),
        ordered=False,
        lock="lock",
    ),
    "one thread, main waits": Shape(_THREAD_AND_LOOP + threads(1)),
    "main and one thread": Shape(
        _THREAD_AND_LOOP + "other = threading.Thread(target=work)\nother.start()\nwork()\nother.join()\n@finish",
        ordered=False,
        alone=True,
    ),
    "consumer thread": Shape("""
@start
@flush
waiting = queue.Queue(8)

def consume():
    @declare
    while True:
        checkpoint()
        doc = waiting.get()
        if doc is None:
            break
        @fill encode(doc)
        @inline

consumer = threading.Thread(target=consume)
consumer.start()
for doc in documents():
    waiting.put(doc)
waiting.put(None)
consumer.join()
@finish
"""),
    "consumer and producer pass checkpoints": Shape("""
@start
@flush
waiting = queue.Queue(2)

def consume():
    @declare
    for doc in checkpoints(iter(waiting.get, None)):
        @fill encode(doc)
        @inline

consumer = threading.Thread(target=consume)
consumer.start()
for doc in documents():
    checkpoint()
    waiting.put(doc)
    time.sleep(0.0005)
waiting.put(None)
consumer.join()
@finish
"""),
    "main collects from a pool": Shape("""
@start
@flush
with concurrent.futures.ThreadPoolExecutor(2) as encoders:
    while not kit.enough():
        for ids in encoders.map(encode, itertools.islice(documents(), 12)):
            checkpoint()
            @fill ids
            @inline
@finish
"""),
    "main collects futures": Shape("""
@start
@flush
docs = documents()
with concurrent.futures.ThreadPoolExecutor(2) as encoders:
    futures = [encoders.submit(encode, doc) for doc in itertools.islice(docs, 4)]
    while futures:
        checkpoint()
        @fill futures.pop(0).result()
        if (doc := next(docs, None)) is not None:
            futures.append(encoders.submit(encode, doc))
@finish
"""),
    "a pool's threads fill": Shape(
        """
@start
@flush
def work(docs):
    @declare
    for doc in checkpoints(docs):
        @fill encode(doc)

with concurrent.futures.ThreadPoolExecutor(3) as workers:
    while not kit.enough():
        list(workers.map(work, [list(itertools.islice(documents(), 9)) for _ in range(6)]))
@finish
""",
        ordered=False,
        alone=True,
    ),
    "a pool that rests": Shape(
        """
@start
@flush
def work(docs):
    @declare
    for doc in checkpoints(docs):
        @fill encode(doc)

with concurrent.futures.ThreadPoolExecutor(2) as workers:
    list(workers.map(work, [list(itertools.islice(documents(), 3)) for _ in range(4)]))
    for doc in documents():
        checkpoint()
        @fill encode(doc)
@finish
""",
        ordered=False,
        alone=True,
    ),
    "a thread that waits for ever": Shape(
        """
@start
@flush
gate = threading.Event()

def work():
    checkpoint()
    gate.wait()

thread = threading.Thread(target=work)
thread.start()
for doc in documents():
    checkpoint()
    @fill encode(doc)
    @inline
gate.set()
thread.join()
@finish
""",
        seconds=1.0,
        no_callback="a thread that has passed a checkpoint may wake at any moment, and then runs beside the callback",
    ),
    "threads that end soon": Shape("""
@start
@flush
def work(doc):
    @declare
    checkpoint()
    @fill encode(doc)

for doc in documents():
    thread = threading.Thread(target=work, args=(doc,))
    thread.start()
    checkpoint()
    thread.join()
@finish
"""),
    "a loop that joins, beside another": Shape(
        """
@start
@flush
def encode_beside(doc):
    done = []
    thread = threading.Thread(target=lambda: done.append(encode(doc)))
    thread.start()
    thread.join()
    return done.pop()

def work():
    @declare
    for doc in documents():
        checkpoint()
        @fill encode(doc)

other = threading.Thread(target=work)
other.start()
for doc in documents():
    checkpoint()
    @fill encode_beside(doc)
other.join()
@finish
""",
        ordered=False,
        alone=True,
    ),
    "a loop with a pool of its own, beside another": Shape(
        """
@start
@flush
def work():
    @declare
    for doc in documents():
        checkpoint()
        @fill encode(doc)

other = threading.Thread(target=work)
other.start()
for doc in documents():
    checkpoint()
    with concurrent.futures.ThreadPoolExecutor(1) as encoder:
        future = encoder.submit(encode, doc)
    @fill future.result()
other.join()
@finish
""",
        ordered=False,
        alone=True,
    ),
    "threads that start again and again": Shape(
        """
@start
@flush
def work(docs):
    @declare
    for doc in docs:
        checkpoint()
        @fill encode(doc)

while not kit.enough():
    threads = [threading.Thread(target=work, args=(itertools.islice(documents(), 5),)) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
@finish
""",
        ordered=False,
        alone=True,
    ),
    "one buffer a thread": Shape(
        """
@start
buffers, done = {}, []

def flush():
    for number in list(buffers):
        ids, buffers[number] = buffers[number], []
        kit.note(ids)
        done.append(ids)

on_pressure(flush)

def work(number):
    for doc in documents():
        checkpoint()
        buffers[number] += encode(doc)

buffers.update({0: [], 1: [], 2: []})
threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
flush()
kit.report(next(numbers) * STEP, done, False)
""",
        ordered=False,
        kinds=("list",),
        sinks=("list",),
        places=("global",),
    ),
    "loop under a lock": Shape(
        """
lock = threading.Lock()
@start
@flush
def work():
    @declare
    while not kit.enough():
        with lock:
            for doc in checkpoints(itertools.islice(documents(), 10)):
                @fill encode(doc)
                @inline

other = threading.Thread(target=work)
other.start()
work()
other.join()
@finish
""",
        seconds=1.0,
        no_callback="the other thread waits for the lock that the first one holds at its checkpoint",
    ),
    "loop that owns the callback's RLock": Shape(
        """
lock = threading.RLock()
@start
@flush
def work():
    @declare
    with lock:
        for doc in documents():
            checkpoint()
            @fill encode(doc)

work()
@finish
""",
        lock="lock",
        no_callback="the loop owns the lock that the callback takes",
    ),
    "loop that holds the callback's lock": Shape(
        """
lock = threading.Lock()
@start
@flush
def work():
    @declare
    with lock:
        for doc in documents():
            checkpoint()
            @fill encode(doc)

work()
@finish
""",
        lock="lock",
        seconds=0.5,
        no_callback="the loop holds the lock that the callback takes: called, it would wait for ever",
    ),
    "checkpoint inside encode, two threads": Shape(
        """
@start
@flush
def encode_long(doc):
    checkpoint()
    return encode(doc)

def work():
    @declare
    for doc in documents():
        @fill encode_long(doc)

"""
        + threads(2),
        ordered=False,
        alone=True,
        seconds=0.5,
        no_callback="the checkpoint lies inside the statement that fills",
    ),
}
