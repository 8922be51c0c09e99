"""Memory in a file that nothing maps and no name shows: argv[1] is memfd or shm."""
import os, sys, time

if sys.argv[1] == "shm":
    name = "/dev/shm/memguard_memory_file_%d" % os.getpid()
    fd = os.open(name, os.O_RDWR | os.O_CREAT)
    os.unlink(name)
else:
    fd = os.memfd_create("buffer")
for _ in range(400):
    os.write(fd, b"x" * 1_000_000)
    time.sleep(0.003)
