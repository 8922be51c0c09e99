"""Hostile: ignores SIGTERM and SIGINT, and grows to 2 GiB."""
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
blocks = []
while len(blocks) < 2048: blocks.append(bytearray(1 << 20))  # CULPRIT
