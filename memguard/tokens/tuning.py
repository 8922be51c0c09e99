"""Sizes and times that the room works by. They change neither tokens nor files; tests make them small."""

from __future__ import annotations

from dataclasses import dataclass

from memguard.units import KIB, MIB

__all__ = ["TUNING", "Tuning"]


@dataclass(frozen=True, slots=True)
class Tuning:
    """What tokenize, merge, verify and inspect are given; in bytes where nothing else is said."""

    checkpoint_seconds: float = 5.0  # of work that a kill may cost, about; a full shard is a checkpoint too
    disk_interval: int = 64  # blocks between two looks at the free space
    cache_interval: int = 256 * KIB  # of text that an engine reads before its word cache goes (again): that costs 50 ms
    # Of a shard after which what is written of it is synced, beside: the disk works from the start, and the job does
    # not wait for hundreds of MiB at its end.
    sync_step: int = 64 * MIB
    read_ids: int = 1 << 19  # ids of a token file read at a time: at most 2 MiB
    read_offsets: int = MIB  # of an offsets file read at a time
    index_block: int = 1 << 16  # sequences of a Megatron-LM index held in memory
    longest_sequence: int = 2**31 - 1  # tokens that the int32 of a Megatron-LM index counts
    compare_step: int = 1 << 18  # of text to wait for, so that verify looks at the ids in large steps


TUNING = Tuning()
