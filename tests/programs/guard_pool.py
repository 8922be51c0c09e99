"""Hostile: four workers, each of which grows: to 3 GiB together."""
import multiprocessing


def grow(number):
    words = []
    while len(words) < 10_000_000: words.append(f"{number} {len(words)}")  # CULPRIT


if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool:
        pool.map(grow, range(4))
