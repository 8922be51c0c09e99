"""Hostile: one array of 8 GiB, all of it in a single call."""
import numpy as np

block = np.ones(1 << 30)  # CULPRIT
