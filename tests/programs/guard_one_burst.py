"""Hostile: one array of 3 GiB, all of it in a single call."""
import numpy as np

block = np.ones(3 << 27)  # CULPRIT
