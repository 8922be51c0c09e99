"""A Pool whose worker is killed (argv[1]: fork or spawn), and waits for it for ever."""
import multiprocessing
import os
import signal
import sys


def work(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        print(pool.map(work, range(4), chunksize=1))
