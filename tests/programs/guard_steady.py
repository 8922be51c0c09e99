"""Innocent: holds argv[1] MiB for argv[2] seconds."""
import sys
import time

block = bytearray(int(sys.argv[1]) << 20)
for offset in range(0, len(block), 4096):
    block[offset] = 1
time.sleep(float(sys.argv[2]))
print("done")
