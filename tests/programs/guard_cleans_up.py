"""Hostile; cleans up on SIGTERM, as a well-behaved script may: removes its temporary file, named in argv[1]."""
import os
import signal
import sys


def end(*_):
    os.unlink(sys.argv[1])
    sys.exit(1)


open(sys.argv[1], "w").close()
signal.signal(signal.SIGTERM, end)
blocks = []
while len(blocks) < 2048: blocks.append(bytearray(1 << 20))  # CULPRIT
