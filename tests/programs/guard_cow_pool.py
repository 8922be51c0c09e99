"""Innocent: a parent of argv[1] MiB and four workers that share it after fork; summed RSS is five times the truth."""
import multiprocessing
import sys
import time

block = bytearray(int(sys.argv[1]) << 20)
for offset in range(0, len(block), 4096):
    block[offset] = 1


def read(number):
    total = sum(block[number::65536])
    time.sleep(1)
    return total


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(read, range(4), chunksize=1)
    print("done")
