"""Hostile: ignores SIGTERM and SIGINT, and grows."""
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
blocks = []
while True: blocks.append(bytearray(1 << 20))  # CULPRIT
