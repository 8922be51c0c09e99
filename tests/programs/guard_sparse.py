"""Innocent: 3 × 16 GiB of address space that is never touched."""
import time

import numpy as np

arrays = [np.empty(2 << 30) for _ in range(3)]
time.sleep(0.5)
print("done")
