"""What other killers than the kernel wrote on this machine: the journal of systemd, earlyoom & co., else /var/log.

The kernel knows nothing of earlyoom, systemd-oomd or a batch system; only their own logs tell. Lines come one by one as
text; what they mean is diagnose/'s business.
"""

from __future__ import annotations

import errno
import itertools
import os
import sys
from collections.abc import Iterator

from memguard.system.kernel_log import KernelLog, Refusal, journal_lines

__all__ = ["log_files", "service_log"]

_IDENTIFIERS = ("systemd", "systemd-oomd", "earlyoom", "nohang", "nohang-desktop", "oomd", "slurmstepd", "slurmd")
_FILES = ("/var/log/kern.log", "/var/log/syslog", "/var/log/messages")
_JETSAM = "/Library/Logs/DiagnosticReports"


def service_log(refused: list[Refusal]) -> KernelLog | None:
    """The journal of this boot, as far as those programs wrote it; None, and why, where it cannot be read."""
    tags = [word for name in _IDENTIFIERS for word in ("-t", name)]
    try:
        lines = journal_lines(*tags)
        first = next(lines, None)
    except OSError as error:
        reason = "not there" if error.errno == errno.ENOENT else error.strerror or str(error)
        refused.append(Refusal("journal", reason))
        return None
    if first is None:
        return None
    return KernelLog("journal of systemd and other killers", itertools.chain((first,), lines))


def log_files() -> Iterator[str]:
    """Logs of this machine that are files and may be read, best first."""
    paths = list(_FILES)
    if sys.platform == "darwin":
        try:
            names = [name for name in os.listdir(_JETSAM) if name.startswith("JetsamEvent")]
        except OSError:
            names = []
        paths = [os.path.join(_JETSAM, name) for name in sorted(names)[-1:]]
    return (path for path in paths if os.path.isfile(path) and os.access(path, os.R_OK))
