"""What the machine says: the only place that opens /proc, /sys/fs/cgroup and the kernel log.

`parse_*` turns text into a record and never raises; `read_*` opens something. What has vanished, or is not there,
is None.
"""
