"""Process and thread pools, threads, subprocesses: a function that runs elsewhere, and whose results come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from memguard.script.interface import Call
from memguard.script.numbers import number_of
from memguard.script.operations.growth import append
from memguard.script.operations.ints import new_ints
from memguard.script.registry import function, gives, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import (
    NOTHING,
    UNKNOWN,
    Bound,
    Buffer,
    Constant,
    Function,
    Generator,
    Method,
    Module,
    Number,
    Pool,
    Row,
    Sequence,
)

__all__ = ["worker_count"]

_SPAWNING = "multiprocessing.get_context()"  # whose workers are Pythons of their own
_MOST_WORKERS = 4096.0  # no machine has the cores, and no estimate the patience


def worker_count(value: Any) -> float | None:
    """Processes; None where that is not known."""
    count = number_of(value)
    return None if count is None else min(_MOST_WORKERS, max(1.0, count))


@function(
    "multiprocessing.Pool multiprocessing.pool.Pool concurrent.futures.ProcessPoolExecutor", frees="a number of workers"
)
@function("torch.multiprocessing.Pool multiprocess.Pool billiard.Pool", frees="a number of workers")
@function("multiprocessing.get_context().Pool", frees="a number of workers")
def process_pool(call: Call) -> Any:
    facts = call.state.facts
    workers = next((call.kwargs[k] for k in ("processes", "max_workers", "n_jobs") if k in call.kwargs), None)
    workers = workers if workers is not None else call.arg(0, "", None)
    if workers is None or (isinstance(workers, Constant) and workers.value is None):
        workers = cores(call)
    facts.pool, facts.pool_workers = True, worker_count(workers)
    context = call.kwargs.get("mp_context")
    given_context = isinstance(context, Module) and context.name == _SPAWNING
    facts.spawned = facts.spawned or given_context or call.name.startswith(_SPAWNING)
    pool = Pool(facts.pool_workers)
    call.state.standing = max(call.state.standing, pool.workers or 1.0)
    initializer = call.kwargs.get("initializer", call.arg(1) if "Executor" not in call.name else UNKNOWN)
    if isinstance(initializer, (Function, Method)):
        given = call.kwargs.get("initargs", call.arg(2))
        with _workers_of(call, pool):
            call.interpreter.call(initializer, list(given.items) if isinstance(given, Sequence) else [], {}, call.node)
    return pool


@function(
    "multiprocessing.pool.ThreadPool concurrent.futures.ThreadPoolExecutor multiprocessing.dummy.Pool",
    frees="a number of workers",
)
def thread_pool(call: Call) -> Any:
    return Pool(worker_count(call.arg(0, "max_workers", None)), processes=False)


@contextmanager
def _workers_of(call: Call, pool: Pool) -> Iterator[None]:
    """What is read meanwhile runs in each worker of `pool`; threads are in the same process."""
    state = call.state
    before = state.copies, state.workers
    state.copies = pool.workers or 1.0
    state.workers = state.copies if pool.processes else before[1]
    try:
        yield
    finally:
        state.copies, state.workers = before


@method(Pool, "map imap imap_unordered starmap map_async starmap_async")
def pool_map(call: Call) -> Any:
    """The function runs in the workers, its results come back as copies."""
    if len(call.args) < 2:
        return UNKNOWN

    waits = call.name.startswith("imap")

    def run(consume: Callable[[Any], None]) -> None:
        def each(item: Any) -> None:
            star = call.name.startswith("starmap") and isinstance(item, Sequence)
            _in_worker(call, call.args[0], list(item.items) if star else [item], consume, waits)

        call.interpreter.iterate(call.args[1], each, call.node)

    if waits:
        return Generator(run, tuple(call.args))
    result = call.hold("list")
    run(lambda element: append(call.interpreter, result, element, call.node))
    return result


@method(Pool, "apply_async submit apply")
def pool_apply(call: Call) -> Any:
    found: list[Any] = []
    given = list(call.args[1:])
    if call.name != "submit" and given and isinstance(given[0], Sequence):
        given = list(given[0].items)
    _in_worker(call, call.arg(0, "fn"), given, found.append)
    return found[0] if found and isinstance(found[0], (Buffer, Row, Sequence)) else NOTHING


def _in_worker(call: Call, apply: Any, args: list[Any], consume: Callable[[Any], None], waits: bool = False) -> None:
    """`waits`: the results of all calls may wait in the parent, which takes them one by one."""
    state, pool = call.state, call.owner
    if pool.workers is None and pool.processes:
        state.not_understood(call.node)  # as many workers as the machine has cores
    with _workers_of(call, pool):
        result = call.interpreter.call(apply, args, {}, call.node)
        call.record("pool", "", *(_waiting(result, state.workers) if waits and pool.processes else ()))
    if isinstance(result, Buffer) and pool.processes:
        copy = state.make(result.kind, call.node, item=result.item)
        copy.parts.update(result.parts)
        copy.pieces.update(result.pieces)
        copy.refs = [new_ints(call.interpreter, copy, call.node)] if result.kind == "ids" else []
        result = copy
    consume(result)


def _waiting(result: Any, workers: float) -> list[Transient]:
    """Lists of ids: the parent takes longer to unpickle and use one than a worker to make and pickle it."""
    if not isinstance(result, Buffer) or result.kind not in ("ids", "lists"):
        return []
    seen = result.extent
    everything = seen.over_all_iterations({window.loop for window in seen.windows})
    return [Transient("results that wait in the parent", "waiting results", everything, workers)]


@method(Pool, "join terminate shutdown")
def ended(call: Call) -> Any:
    if call.owner.processes:
        call.state.end_workers()
    return NOTHING


method(Pool, "close wait ready get")(nothing("no more work for them"))


# -- threads, processes of one function -------------------------------------------------------------------------------


@function("threading.Thread")
def thread(call: Call) -> Any:
    """It runs beside the rest, in the same memory."""
    given = call.kwargs.get("args")
    if call.args:
        return UNKNOWN
    if "target" in call.kwargs:
        args = list(given.items) if isinstance(given, Sequence) else []
        call.interpreter.call(call.kwargs["target"], args, {}, call.node)
    return Module("threading.Thread()")


function("threading.Thread().*")(nothing("it has run where it was made"))


@function("queue.Queue queue.SimpleQueue queue.LifoQueue queue.PriorityQueue multiprocessing.Queue", frees="a number")
def queue(call: Call) -> Any:
    """Of as many pieces as it may hold."""
    result = call.state.make("list", call.node)
    most = call.number("maxsize", 0)
    result.bound = Bound(most, "pieces") if most is not None and most > 0 else None
    return result


@method("char token list ids strings lists arrays opaque text array", "get_result result wait ready successful")
def result_of_future(call: Call) -> Any:
    """A future is what the function gave."""
    return NOTHING if call.name in ("wait", "ready", "successful") else call.owner


@function("concurrent.futures.as_completed concurrent.futures.wait")
def completed(call: Call) -> Any:
    return call.arg(0, "fs")


@function(
    "multiprocessing.cpu_count os.cpu_count os.process_cpu_count torch.multiprocessing.cpu_count", frees="a number"
)
@function("psutil.cpu_count joblib.cpu_count multiprocess.cpu_count loky.cpu_count", frees="a number")
def cores(call: Call) -> Any:
    """This machine's, where that is known."""
    return NOTHING if call.state.cores is None else Number(float(call.state.cores))


@function("os.sched_getaffinity psutil.Process().cpu_affinity", frees="numbers of cores")
def usable_cores(call: Call) -> Any:
    """A set of them: all, unless the process is held to a few."""
    count = min(call.state.cores or 0, int(_MOST_WORKERS))
    return Sequence([NOTHING] * count) if count else NOTHING


@function("multiprocessing.set_start_method torch.multiprocessing.set_start_method", frees="a name")
def start_method(call: Call) -> Any:
    """fork, where nobody says anything else."""
    facts = call.state.facts
    facts.spawned = facts.spawned or call.text(0, "method") in ("spawn", "forkserver")
    return NOTHING


@function("multiprocessing.get_context().*")
def of_context(call: Call) -> Any:
    """The same names as multiprocessing's."""
    return call.interpreter.call(
        Module(f"multiprocessing.{call.name.rpartition('.')[2]}"), call.args, call.kwargs, call.node
    )


function("multiprocessing.freeze_support")(nothing("a setting"))
function("multiprocessing.current_process multiprocessing.get_logger multiprocessing.active_children")(
    nothing("names and numbers")
)
function("multiprocessing.Lock multiprocessing.Value multiprocessing.Event multiprocessing.Semaphore")(
    gives("a few bytes of shared memory")
)


@function("multiprocessing.get_context torch.multiprocessing.get_context", frees="a name")
def context(call: Call) -> Any:
    return Module(_SPAWNING if call.text(0, "method") in ("spawn", "forkserver") else "multiprocessing")
