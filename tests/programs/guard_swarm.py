"""Hostile: a hundred small growers, each of which stays below 20 MiB."""
import os
import time


def grow():
    blocks = []
    while len(blocks) < 80: blocks.append(bytearray(b"x" * (256 << 10))); time.sleep(0.02)  # CULPRIT
    time.sleep(60)


for _ in range(100):
    if os.fork() == 0:
        grow()
        os._exit(0)
for _ in range(100):
    os.wait()
