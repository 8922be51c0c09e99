"""Hostile: the main thread waits, another one grows."""
import threading


def grow():
    words = []
    while True: words.append(str(len(words)))  # CULPRIT


thread = threading.Thread(target=grow)
thread.start()
thread.join()
