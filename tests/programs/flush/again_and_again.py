"""Three quarters of the limit are always in use; what grows on top is all that a flush can free, time after time."""
import sys
import time

from corpus import save

import memguard

always = bytearray(int(sys.argv[2]))
always[::4096] = bytes(len(always[::4096]))  # in memory from here on
rows, first = [], 0


@memguard.on_pressure
def write_out():
    global first
    save(first, range(first, first + len(rows)))
    first += len(rows)
    rows.clear()


for _ in range(400):
    memguard.checkpoint()
    rows.append(bytearray(b"x" * 200_000))
    time.sleep(0.005)
write_out()
