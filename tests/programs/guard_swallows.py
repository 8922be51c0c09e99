"""Hostile: swallows every MemoryError, and tries again: for a minute, to 2 GiB. Any line of its loop is the right one."""
import time

blocks = []
end = time.monotonic() + 60
while len(blocks) < 2048 and time.monotonic() < end:  # CULPRIT
    try:
        blocks.append(bytearray(b"x" * (1 << 20)))  # CULPRIT
    except Exception:
        pass  # CULPRIT
