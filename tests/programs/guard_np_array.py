"""Hostile: a list that fits into the limit of argv[1] MiB, but not beside the arrays that are made of it."""
import sys

import numpy as np

ids = list(range(1000, 1000 + (int(sys.argv[1]) << 20) * 84 // 100 // 40))
arrays = []
while len(arrays) < 20: arrays.append(np.array(ids))  # CULPRIT
