"""How many workers of a known size fit here: memguard.workers()."""

from __future__ import annotations

from memguard.errors import ConfigError, SystemInterfaceError
from memguard.system.machine import read_cores
from memguard.units import parse_size
from memguard.watch.guard import headroom

__all__ = ["workers"]


def workers(bytes_each: int | str, *, cores: bool = True) -> int:
    """How many more processes, each of which will need `bytes_each`, fit on this machine now, beside this one.

    headroom() // bytes_each: by the tightest of all limits, the container's, the job's and the guard's among them; what
    this process holds already is counted once, as used. `cores`: not more than the cores that this process may run on.
    0 where not even one fits: then start none, and do the work in smaller pieces. Reads the limits at each call (some
    milliseconds under `memguard run`); another program may take the memory a moment later.

    `bytes_each` is bytes, or a size such as "2GiB": what one worker takes at its peak beyond what it shares with this
    process, such as the `high` of an estimate. Raises ConfigError for what is no size, SystemInterfaceError where no
    limit can be read.

        with Pool(memguard.workers("1.5GiB") or 1) as pool: …
    """
    size = _size(bytes_each)
    left = headroom()
    if left is None:
        raise SystemInterfaceError(
            "no limit of memory can be read here", "name the number of workers yourself", path="/proc/meminfo"
        )
    fit = left // size
    return min(fit, read_cores()) if cores else fit


def _size(value: int | str) -> int:
    if isinstance(value, str):
        return parse_size(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"bytes_each: not a size: {value!r}", 'write "2GiB", or a number of bytes')
    if value < 1:
        raise ConfigError(f"bytes_each: a size must be at least one byte: {value!r}")
    return value
