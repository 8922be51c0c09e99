"""Shapes with several processes. Functions that workers call stand at module level, so no closures here."""

from __future__ import annotations

from tests.attack.shapes import Shape

_PLACES = ("global", "attribute", "class", "item")
_NO_FILE = ("list", "shards", "executor")  # a worker that imports the script again would open the file again, too
_POOL = """
@start
@flush
def main():
    @declare
    @ask
    with multiprocessing.get_context("METHOD").Pool(2) as pool:
        while not kit.enough():
            for ids in pool.imap(encode, itertools.islice(documents(), 12)):
                checkpoint()
                @fill ids
                @inline

if __name__ == "__main__":
    main()
    @finish
"""
# Every worker has its own buffer, callback and asks; what it found is summed up by the parent.
_WORKERS = """
@start
def flush():
    @declare
    @take

on_pressure(flush)

def job(number):
    @declare
    kit.ask_in_child(number)
    on_pressure(flush)
    for doc in documents():
        checkpoint()
        @fill encode(doc)
        @inline
    while SIZE:
        flush()
    kit.stop()
    return kit.judge(next(numbers) * STEP, VALUES, False)

def main():
    with multiprocessing.get_context("METHOD").Pool(2, maxtasksperchild=1) as pool:
        found = pool.map(job, range(2), 1)
    kit.report_sum(found)

if __name__ == "__main__":
    main()
"""
PROCESSES: dict[str, Shape] = {
    "fork pool": Shape(_POOL.replace("METHOD", "fork"), places=_PLACES),
    "spawn pool": Shape(_POOL.replace("METHOD", "spawn"), places=_PLACES, sinks=_NO_FILE),
    "forkserver pool": Shape(_POOL.replace("METHOD", "forkserver"), places=_PLACES, sinks=_NO_FILE),
    "process executor": Shape(
        """
@start
@flush
def main():
    @declare
    @ask
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        while not kit.enough():
            for ids in pool.map(encode, itertools.islice(documents(), 12)):
                checkpoint()
                @fill ids

if __name__ == "__main__":
    main()
    @finish
""",
        places=_PLACES,
    ),
    "fork workers that buffer": Shape(
        _WORKERS.replace("METHOD", "fork"), places=_PLACES, ordered=False, sinks=("list", "shards")
    ),
    "spawn workers that buffer": Shape(
        _WORKERS.replace("METHOD", "spawn"), places=_PLACES, ordered=False, sinks=("list", "shards")
    ),
    "child of os.fork": Shape(
        """
@start
@flush
def child():
    @declare
    kit.ask_in_child(7, 0.1)
    while not kit.enough():
        checkpoint()
    os._exit(kit.tally.called > 0)

statuses = []
for doc in documents():
    checkpoint()
    @fill encode(doc)
    if doc % 150 == 100 and len(statuses) < 3:
        pid = os.fork()
        if pid == 0:
            child()
        statuses.append(os.waitpid(pid, 0)[1])
@finish
""",
        places=("global", "closure", "attribute"),
        sinks=("list", "shards"),
    ),
    "child of os.fork beside threads": Shape(
        """
@start
@flush
def work():
    @declare
    for doc in documents():
        checkpoint()
        @fill encode(doc)

threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]
statuses = []
while not kit.enough() and len(statuses) < 8:
    checkpoint()
    pid = os.fork()
    if pid == 0:
        kit.ask_in_child(7, 0.03)
        while not kit.enough():
            checkpoint()
        os._exit(kit.tally.called > 0)
    statuses.append(os.waitpid(pid, 0)[1])
[thread.join() for thread in threads]
@finish
""",
        places=("global", "attribute"),
        ordered=False,
        alone=True,
        sinks=("list", "shards"),
        asks=("thread",),
    ),
}
