"""Hostile: a shared anonymous map of 2 GiB, written block by block."""
import mmap

block = b"x" * (4 << 20)
memory = mmap.mmap(-1, 2 << 30, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
for offset in range(0, len(memory), len(block)): memory[offset:offset + len(block)] = block  # CULPRIT
