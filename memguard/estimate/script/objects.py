"""What small Python objects and the tables of sets and dicts cost: CPython's own formulas. Pure. Sizes are bytes.

`python -m tests.bench objects` measures each; with CPython 3.11 the formulas are within 1 % of what 300,000 and
1,000,000 of each take, tables within 3 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from memguard.script.values import Small

__all__ = ["NUMPY_OBJECT", "STACKED", "TORCH_OBJECT", "dict_table", "objects_size", "set_table"]

# pymalloc rounds every object up to 16 bytes, and puts 510 of 32 bytes into 16 KiB pools.
_ALIGNMENT = 16
_POOLS = 1.004
# An array of numpy beside its data: the object 96 bytes, dimensions and strides 32 (a view's, too), and 8 of malloc's
# header for either. Measured 128 for views, 143 with data of its own (numpy 2.4).
NUMPY_OBJECT = 128
# A tensor of torch beside its data: TensorImpl, StorageImpl, both Python objects, the data's alignment to 64 bytes.
# Measured 628 for tensors of 32 and of 256 elements, 610 for views (torch 2.x, CPU).
TORCH_OBJECT = 628
# np.stack and its kind make an array of each element, and views of those, before they join them: bytes for each element
# of a list of numbers, the result apart. Measured with 300,000 and 1,000,000: stack 304, vstack 311, hstack 295 (numpy
# 2.4).
STACKED = 304


def _rounded(size: float) -> float:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _dict(members: float) -> float:
    """64 bytes for the dict, and keys of 8, 16, 32 … places, of which 2/3 are used; keys are names."""
    places = 8.0
    while places * 2 // 3 < members:
        places *= 2
    return 64 + _rounded(32 + places + 16 * (places * 2 // 3))


# Bytes of one: `size` is what Small.size counts. sys.getsizeof, with the garbage collector's header where there is one.
OBJECTS: dict[str, Callable[[float], float]] = {
    "int": lambda size: 32,
    "hash": lambda size: 48,  # of 61 bits
    "float": lambda size: 32,
    "str": lambda size: _rounded(49 + size),
    "bytes": lambda size: _rounded(33 + size),
    "tuple": lambda size: _rounded(40 + 8 * size),
    "list": lambda size: 64 + _rounded(8 * size),
    "dict": _dict,
    "instance": lambda size: 96,  # 48 and its values, which are no dict before someone asks for it
    "slots": lambda size: _rounded(32 + 8 * size),
    "shared": lambda size: 0,
    "memo": lambda size: 46,  # pickle's entry for each object that may come twice: 43 to 65 measured, 8 are the slot
    "storage": lambda size: 1400,  # torch.save: a record of each tensor's storage, and the memo: 1,340 to 1,500
    "slots of others": lambda size: -8 * size,
}


def objects_size(parts: Iterable[Small]) -> float:
    """Bytes of one object, beside its slot in a list."""
    return sum(OBJECTS[part.kind](part.size) for part in parts) * _POOLS


def set_table(count: float) -> float:
    """Bytes of the table of a set of `count` entries: Objects/setobject.c, set_add_entry and set_table_resize.

    16 bytes a place; once 3/5 of the places are taken it grows to the power of two above four times the entries, twice
    above 50,000.
    """
    places = 8
    while count * 5 >= (places - 1) * 3:
        used = (places - 1) * 3 / 5
        least, places = used * (2 if used > 50_000 else 4), 8
        while places <= least:
            places *= 2
    return 16.0 * places


def dict_table(count: float, entry: int = 24) -> float:
    """Bytes of the keys of a dict of `count` entries: Objects/dictobject.c, new_keys_object and insertion_resize.

    A power of two of places, of which 2/3 are used: an index of 1, 2 or 4 bytes for each place, `entry` bytes for each
    that can be used (16 where all keys are str).
    """
    places = 8.0
    while places * 2 // 3 < count:
        places *= 2
    index = 1 if places <= 1 << 8 else 2 if places <= 1 << 16 else 4
    return 32 + index * places + entry * (places * 2 // 3)
