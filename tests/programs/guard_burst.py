"""Hostile: numpy arrays written at the speed of the memory."""
import numpy as np

blocks = []
while True: blocks.append(np.ones(8 << 20))  # CULPRIT (64 MiB each)
