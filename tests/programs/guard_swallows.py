"""Hostile: swallows every MemoryError, and tries again: for a minute, to 2 GiB."""
import time

blocks = []
end = time.monotonic() + 60
while len(blocks) < 2048 and time.monotonic() < end:
    try:
        blocks.append(bytearray(b"x" * (1 << 20)))  # CULPRIT
    except Exception:
        pass
