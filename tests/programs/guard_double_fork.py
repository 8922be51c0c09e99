"""Hostile: grows to 2 GiB in a process that has left the tree by a double fork, in its own session."""
import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        blocks = []
        while len(blocks) < 2048: blocks.append(bytearray(b"x" * (1 << 20)))  # CULPRIT
    os._exit(0)
os.wait()
time.sleep(60)
