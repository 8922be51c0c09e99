"""Hostile: maps 2 GiB first and touches them half a second later, in one C call."""
import mmap
import time

import numpy as np

memory = np.frombuffer(mmap.mmap(-1, 2 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), dtype=np.uint8)
time.sleep(0.5)
memory.fill(1)  # CULPRIT
