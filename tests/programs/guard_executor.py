"""A ProcessPoolExecutor whose worker is killed: it raises BrokenProcessPool by itself."""
import os
import signal
from concurrent.futures import ProcessPoolExecutor


def work(number):
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        print(list(pool.map(work, range(4))))
