"""The work of an hour, kept: the largest list of token ids as a file of uint16 or uint32, with a note of what it is.

    DIR/all_tokens.4711.uint16.bin        the ids, little endian, as numpy.fromfile and nanoGPT read them
    DIR/all_tokens.4711.uint16.bin.json   the variable, its place, how many ids, and how far each input had been read

Written under a temporary name and renamed, the note first: a file that is there is whole and explained. 64 Ki ids at a
time go through one small array, so next to no memory is needed. Standard library only, Python 3.8 or later.
"""

import os
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType  # noqa: F401
    from typing import Any, Iterator  # noqa: F401

_agent = sys.modules["_memguard_agent"]  # type: Any
_encode = _agent.load("_memguard_answers").encode  # type: Any
_AT_ONCE = 1 << 16  # ids
_WIDTHS = (("H", "uint16"), ("I", "uint32"))  # array's type codes; both have these sizes wherever Python runs
_NOT_INPUT = (".py", ".pyc", ".so", ".zip")


class NothingToSalvage(Exception):
    pass


def salvage(frame, directory, deadline):
    # type: (FrameType | None, str, float) -> dict[str, Any]
    """Writes the largest container of token ids into `directory`; returns what the note says, and its path.

    Raises NothingToSalvage where no variable holds token ids, OSError, or TimeoutError after `deadline`
    (time.perf_counter): then nothing is left behind.
    """
    culprit = _agent.load("_memguard_culprit")
    words = _agent.load("_memguard_wording")
    for found in culprit.find(frame):
        if words.token_ids(found.value)[0]:
            for code, dtype in _WIDTHS:
                try:
                    return _write(found, directory, code, dtype, deadline)
                except OverflowError:  # an id beyond this width
                    continue
    raise NothingToSalvage("no variable holds token ids that fit in 32 bits")


def _write(found, directory, code, dtype, deadline):
    # type: (Any, str, str, str, float) -> dict[str, Any]
    os.makedirs(directory, exist_ok=True)
    array = _agent.load("_memguard_standard_library", "standard_library.py").extension("array").array
    name = _file_name(found.name)
    path = os.path.join(os.path.abspath(directory), "%s.%d.%s.bin" % (name, os.getpid(), dtype))
    temporary = "%s.tmp" % path
    try:
        count = 0
        with open(temporary, "wb", buffering=0) as file:
            for part in _parts(found.value):
                ids = array(code, part)
                if sys.byteorder == "big":
                    ids.byteswap()
                _write_all(file, ids)
                count += len(ids)
                if time.perf_counter() > deadline:
                    raise TimeoutError("not done in time: %d ids were written" % count)
        note = {
            "schema": "memguard.salvage/1",
            "file": os.path.basename(path),
            "dtype": dtype,
            "byteorder": "little",
            "count": count,
            "variable": found.name,
            "source": found.file,
            "line": found.line,
            "function": found.function,
            "pid": os.getpid(),
            "time": time.time(),
            "inputs": open_inputs(),
        }
        with open(path + ".json.tmp", "wb") as text:
            text.write(_pretty(note).encode("ascii"))
        os.replace(path + ".json.tmp", path + ".json")
        os.replace(temporary, path)
    except BaseException:
        for left in (temporary, path + ".json.tmp"):
            if os.path.exists(left):
                os.unlink(left)
        raise
    return {"path": path, "variable": found.name, "count": count, "dtype": dtype, "bytes": os.path.getsize(path)}


def _file_name(variable):
    # type: (str) -> str
    """`shard['train'].ids` → `shard_train_ids`."""
    words = "".join([letter if letter.isalnum() or letter == "_" else " " for letter in variable]).split()
    return "_".join(words).strip("_") or "ids"


def _pretty(note):
    # type: (dict[str, Any]) -> str
    return "{\n" + ",\n".join(["  %s: %s" % (_encode(name), _encode(value)) for name, value in note.items()]) + "\n}\n"


def _write_all(file, ids):
    # type: (Any, Any) -> None
    """An unbuffered write may take a part only."""
    view = memoryview(ids).cast("B")
    while len(view):
        view = view[file.write(view) :]


def _parts(value):
    # type: (Any) -> Iterator[Any]
    """At most so many ids at a time, in order, of a sequence of ids or of a sequence of such."""
    sizes = _agent.load("_memguard_sizes")
    if sizes.is_ndarray(value):
        flat = value.reshape(-1)
        for start in range(0, len(flat), _AT_ONCE):
            yield flat[start : start + _AT_ONCE].tolist()
    elif len(value) and not isinstance(value[0], int):
        for inner in value:
            for part in _parts(inner):
                yield part
    elif isinstance(value, sizes.deque):  # no slices, and an index is a walk
        part = []
        for one in value:
            part.append(one)
            if len(part) == _AT_ONCE:
                yield part
                part = []
        yield part
    else:
        for start in range(0, len(value), _AT_ONCE):
            yield value[start : start + _AT_ONCE]


def open_inputs():
    # type: () -> list[dict[str, Any]]
    """The regular files that are open for reading only: path, position and size in bytes.

    The position is the descriptor's: what Python has read ahead into its buffer, up to some KiB, lies before it, too.
    """
    found = []  # type: list[dict[str, Any]]
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for name in sorted(names, key=int):
        try:
            path = os.readlink("/proc/self/fd/" + name)
            status = os.fstat(int(name))
            with open("/proc/self/fdinfo/" + name, "rb") as file:
                fields = dict(line.split(":", 1) for line in file.read().decode("ascii").splitlines() if ":" in line)
            reading = int(fields["flags"], 8) & (os.O_WRONLY | os.O_RDWR) == 0
            if reading and stat.S_ISREG(status.st_mode) and not path.endswith(_NOT_INPUT) and path[:6] != "/proc/":
                found.append({"path": path, "position": int(fields["pos"]), "size": status.st_size})
        except (OSError, KeyError, ValueError):
            continue
    return found
