"""Hostile: writes 2 GiB into a file in /dev/shm, which is memory in no process; whoever runs this removes argv[1]."""
import sys

block = b"x" * (4 << 20)
with open(sys.argv[1], "wb") as file:
    for _ in range(512): file.write(block)  # CULPRIT
