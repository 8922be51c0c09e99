"""Hostile: four workers, each of which grows."""
import multiprocessing


def grow(number):
    words = []
    while True: words.append(f"{number} {len(words)}")  # CULPRIT


if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool:
        pool.map(grow, range(4))
