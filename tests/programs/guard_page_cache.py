"""Innocent: reads the file argv[1] argv[2] times over, so that the page cache fills, and keeps nothing."""
import sys

for _ in range(int(sys.argv[2])):
    with open(sys.argv[1], "rb") as file:
        while file.read(1 << 20):
            pass
print("done")
