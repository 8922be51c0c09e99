"""Hostile: a map of 2 GiB that the kernel fills in one system call, which no SIGSTOP interrupts."""
import mmap

flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
memory = mmap.mmap(-1, 2 << 30, flags=flags)  # CULPRIT
