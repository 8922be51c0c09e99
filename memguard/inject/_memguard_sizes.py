"""How many bytes an object holds, with all that it alone refers to: a sample, in milliseconds and next to no memory.

A list of 50 million ints is not walked: 1,000 of its elements are looked at, spread over its length. What an element
costs is its allocated block (pymalloc rounds up to 16 bytes and loses 4 of 1,024 to the pool's header), divided by the
references to it: an int that a vocabulary shares out ten thousand times costs a ten-thousandth each time.

Not here: which variable it is (_memguard_culprit.py). Standard library only, Python 3.8 or later.
"""

import os
import sys
import time
from _collections import deque  # type: ignore[import-not-found]  # built in; `collections` may be the user's
from gc import get_referents
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable  # noqa: F401

SAMPLE = 1000  # elements of a large container that are looked at
_NESTED = 64  # and, of a container inside one, so many times fewer
_FEWEST = 12
_FEW = 16  # a container of so few may be data["train"], data["val"]: each gets a sample of its own
_DEPTH = 12  # containers inside containers
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement, not in C
_MANAGED_DICT = 1 << 4  # Py_TPFLAGS_MANAGED_DICT of 3.11 on (Include/object.h); an older type has nothing there
_INLINE = 5  # attributes that an instance has room for at least (shared_keys_usable_size in Objects/dictobject.c)
_PREFIX = 100000  # entries of a set or dict from whose beginning the sample is taken: these have no index
_POOLED = 512  # bytes; above it an object is malloc's
_GC_HEAD = 16  # bytes before every object that the garbage collector knows
_POOL_LOSS = 1.004  # a pool of 16 KiB holds 510 blocks of 32 bytes
_UNSHARED = 1 << 16  # an object as large as this is counted whole, however many names it has
_MANY_NAMES = 8
_PAGES = 128  # pages of a large buffer that the kernel is asked about
_LARGE_BUFFER = 8 << 20
_NDARRAY = 112  # bytes of the object itself (PyArrayObject_fields, numpy/core/include/numpy/ndarraytypes.h)
_ENCODED = 178  # bytes a token of a tokenizers.Encoding (0.23): ids, offsets, words, masks, and a String of each token
_RESULTS = 250000  # of an lru_cache whose references are listed: 2 each, 8 bytes
_PRESENT, _SWAPPED, _FILE = 1 << 63, 1 << 62, 1 << 61  # Documentation/admin-guide/mm/pagemap.rst

CONTAINERS = (list, tuple, set, frozenset, dict, deque)
_FLAT = (str, bytes, bytearray)
_NUMBERS = (int, float, complex)
# What everything refers to, or what is code.
_NOT_DATA = frozenset(
    "NoneType bool type module function builtin_function_or_method method frame code traceback ellipsis cell "
    "method-wrapper wrapper_descriptor getset_descriptor member_descriptor classmethod staticmethod property".split()
)


class DeadlineExceeded(BaseException):
    """The time for the look is over. No Exception: those are what somebody's own classes raise under a look."""


def library(thing):
    # type: (Any) -> str
    """The package that `thing`'s type comes from, where that keeps its data outside Python objects."""
    name = (getattr(type(thing), "__module__", None) or "").split(".")[0]
    return name if name in ("numpy", "torch", "pyarrow", "polars", "array", "tokenizers") else ""


def is_ndarray(thing):
    # type: (Any) -> bool
    return any(c.__name__ == "ndarray" and c.__module__ == "numpy" for c in type(thing).__mro__)


def resident():
    # type: () -> int | None
    """Bytes of this process that are in memory and no file's."""
    try:
        with open("/proc/self/statm", "rb") as file:
            fields = file.read().split()
        return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _few_results(cached):
    # type: (Any) -> bool
    """Without maxsize they lie in one dict, which is sampled."""
    information = cached.cache_info()
    return information.maxsize is None or bool(information.currsize <= _RESULTS)


def block(size):
    # type: (int) -> float
    """What an object of `size` bytes takes from the allocator."""
    if size <= _POOLED:
        return -(-size // 16) * 16 * _POOL_LOSS
    return -(-(size + 8) // 16) * 16


def sample(container, number):
    # type: (Any, int) -> list[Any]
    """At most about `number` of its elements, spread; for a dict keys and values in turn."""
    length = len(container)
    try:
        if isinstance(container, dict):
            step = max(1, min(length, _PREFIX) // number)
            return [part for pair in islice(container.items(), 0, _PREFIX, step) for part in pair]
        if length <= number:
            return list(container)
        if isinstance(container, (set, frozenset)):
            return list(islice(container, 0, _PREFIX, max(1, min(length, _PREFIX) // number)))
        if isinstance(container, deque):  # an index costs a walk from the nearer end
            return list(islice(container, number // 2)) + list(islice(reversed(container), number // 2))
        return [container[position] for position in spread(length, number)]
    except (RuntimeError, IndexError):  # another thread has changed it meanwhile
        return []


def spread(length, number):
    # type: (int, int) -> Iterable[int]
    """One position in each of `number` strata, anywhere within it: an even stride would resonate with periodic data."""
    state = 12345
    for stratum in range(number):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        yield (stratum * length + (state * length >> 31)) // number


class SizeEstimator:
    """Measures until `deadline` (time.thread_time), then raises DeadlineExceeded. What is `claimed` counts no more."""

    def __init__(self, deadline):
        # type: (float) -> None
        self.deadline, self.calls = deadline, 0
        self.claimed = set()  # type: set[int]
        self._own_references = self._calibrate()

    def _calibrate(self):
        # type: () -> int
        """The references that sampling itself holds to an element which one container alone refers to."""
        probe = [[object()]]
        return min(sys.getrefcount(part) for part in sample(probe[0], 1)) - 1

    def size(self, thing, number=SAMPLE):
        # type: (Any, int) -> float
        """Bytes of `thing` and of what it holds; 0 where its own methods raise errors."""
        try:
            return self._size(thing, number, 0, {id(thing)})
        except DeadlineExceeded:
            raise
        except BaseException:  # a user's own method raises what it likes, SystemExit, too
            return 0

    def _size(self, thing, number, depth, seen):
        # type: (Any, int, int, set[int]) -> float
        self.calls += 1
        if self.calls % 64 == 0 and time.thread_time() > self.deadline:
            raise DeadlineExceeded
        kind = type(thing)
        if kind is int:
            return 0 if -6 < thing < 257 else block(sys.getsizeof(thing))  # CPython keeps one of each small int
        if kind in _FLAT:
            return 0 if kind is not bytearray and len(thing) < 2 else block(sys.getsizeof(thing))
        if kind in _NUMBERS:
            return block(sys.getsizeof(thing))
        if kind.__name__ in _NOT_DATA:
            return 0
        if isinstance(thing, memoryview):
            return self._once(thing.obj, number, depth, seen) if thing.obj is not None else 0
        if is_ndarray(thing) or library(thing):
            return self._buffer(thing, number, depth, seen)
        own = self._shell(thing)
        if depth >= _DEPTH:
            return own
        if isinstance(thing, CONTAINERS):
            return own + self._elements(thing, number, depth, seen)
        if kind.__name__ == "_lru_cache_wrapper" and not _few_results(thing):
            return own
        parts = get_referents(thing)  # an instance: its attributes, wherever it keeps them
        if kind.__flags__ & _MANAGED_DICT:  # in an array of their own, which sys.getsizeof does not count
            own += block(8 + 8 * max(_INLINE, len(parts)))
        looked_at = parts if len(parts) <= SAMPLE else [parts[position] for position in spread(len(parts), SAMPLE)]
        held = sum(self._once(part, number, depth, seen) for part in looked_at)
        return own + held * max(1.0, len(parts) / SAMPLE)

    def _shell(self, thing):
        # type: (Any) -> float
        """Without its contents. What a list has allocated beyond its length has never been touched."""
        if isinstance(thing, list):
            return block(56) + 8 * len(thing)
        if not type(thing).__flags__ & _HEAP_TYPE:
            return block(sys.getsizeof(thing))
        # A class's own __sizeof__ (pandas has one) may count all that it holds, and take its time.
        own = next((base for base in CONTAINERS if isinstance(thing, base)), object)
        return block(own.__sizeof__(thing) + _GC_HEAD)

    def _once(self, thing, number, depth, seen):
        # type: (Any, int, int, set[int]) -> float
        if type(thing) in _NUMBERS:
            return self._size(thing, number, depth, seen)
        if id(thing) in seen or id(thing) in self.claimed:
            return 0
        seen.add(id(thing))
        try:
            return self._size(thing, number, depth + 1, seen)
        except DeadlineExceeded:
            raise
        except BaseException:
            return 0

    def _elements(self, container, number, depth, seen):
        # type: (Any, int, int, set[int]) -> float
        parts = sample(container, number)
        if not parts:
            return 0
        count = len(container) * (2 if isinstance(container, dict) else 1)
        fewer = number if len(container) <= _FEW else max(_FEWEST, number // _NESTED)
        total = 0.0
        for part in parts:
            if type(part) in _NUMBERS or type(part) in _FLAT:
                size = self._size(part, fewer, depth + 1, seen)
                names = sys.getrefcount(part) - self._own_references
                total += size / max(1, names) if size < _UNSHARED or names > _MANY_NAMES else size
            else:
                total += self._once(part, fewer, depth + 1, seen)
        return total * max(1.0, count / len(parts))

    def _buffer(self, thing, number, depth, seen):
        # type: (Any, int, int, set[int]) -> float
        """What numpy and the like keep outside Python objects. A view counts as what it looks at, once."""
        if is_ndarray(thing):
            owner = _owner(thing)
            if owner is not thing:
                return self._once(owner, number, depth, seen)
            return self._array(thing, number, depth, seen)
        kind = library(thing)
        try:
            if kind == "array":
                return block(80) + len(thing) * int(thing.itemsize)  # beyond that it is allocated, and untouched
            if kind == "tokenizers":
                return float(_ENCODED * len(thing) if type(thing).__name__ == "Encoding" else 0)
            if kind == "polars":
                return float(thing.estimated_size())
            if kind == "torch":
                return float(thing.untyped_storage().nbytes()) if thing.device.type == "cpu" else 0
            size = float(thing.nbytes)
            return size * _resident(*_arrow_place(thing), own=True) if kind == "pyarrow" else size
        except BaseException:
            return 0

    def _array(self, array, number, depth, seen):
        # type: (Any, int, int, set[int]) -> float
        base = array.base
        if base is not None and type(base).__name__ == "mmap" and type(array).__name__ == "memmap":
            return 0  # a file's pages
        if array.nbytes < _LARGE_BUFFER:  # the object, and its buffer from malloc
            size = block(_NDARRAY) + -(-(int(array.nbytes) + 8) // 16) * 16
        else:
            size = array.nbytes * _resident(array.__array_interface__["data"][0], int(array.nbytes))
        if array.dtype.hasobject and array.size:
            flat = array.reshape(-1)
            parts = [flat[position] for position in spread(len(flat), min(number, len(flat)))]
            fewer = max(_FEWEST, number // _NESTED)
            size += sum(self._size(part, fewer, depth + 1, seen) for part in parts) * len(flat) / len(parts)
        return size


def _owner(array):
    # type: (Any) -> Any
    """What the memory that `array` looks at belongs to: another array, or what numpy.frombuffer was given."""
    while array.base is not None and is_ndarray(array.base):
        array = array.base
    if isinstance(array.base, (bytes, bytearray)) or library(array.base) == "array":
        return array.base
    return array


def _arrow_place(thing):
    # type: (Any) -> tuple[int, int]
    """(address, size) of one buffer of an Arrow table: its pages tell whether it is memory or a mapped file's."""
    while hasattr(thing, "columns") and thing.num_columns:
        thing = thing.column(0)
    if hasattr(thing, "chunks"):
        thing = thing.chunk(thing.num_chunks // 2)
    largest = max((b for b in thing.buffers() if b is not None), key=lambda b: b.size)  # type: Any
    return largest.address, largest.size


def _resident(address, size, own=False):
    # type: (int, int, bool) -> float
    """The share of a buffer's pages that are in memory: numpy.empty(10**10) has none. `own`: and no file's."""
    if size < (1 << 16 if own else _LARGE_BUFFER):
        return 1.0
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return 1.0
    try:
        held = 0
        for offset in spread(size // page, _PAGES):
            entry = int.from_bytes(os.pread(pagemap, 8, (address // page + offset) * 8), sys.byteorder)
            held += bool(entry & (_PRESENT | _SWAPPED)) and not (own and entry & _FILE)
        return held / _PAGES
    except OSError:
        return 1.0
    finally:
        os.close(pagemap)
