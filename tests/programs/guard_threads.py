"""Hostile: the main thread waits, another one grows: to 2 GiB."""
import threading


def grow():
    words = []
    while len(words) < 30_000_000: words.append(str(len(words)))  # CULPRIT


thread = threading.Thread(target=grow)
thread.start()
thread.join()
