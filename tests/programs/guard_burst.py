"""Hostile: numpy arrays written at the speed of the memory: 3 GiB in the end."""
import numpy as np

blocks = []
while len(blocks) < 48: blocks.append(np.ones(8 << 20))  # CULPRIT (64 MiB each)
