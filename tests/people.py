"""Who runs a test: the tester (often root), or a normal user reached through `su`."""

from __future__ import annotations

import os
import shutil
import site
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NORMAL_USER = "nobody"


@dataclass
class Person:
    """`user` None: whoever runs the tests. `home` is writable by them and holds nothing else."""

    user: str | None
    python: str
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def memguard(self, *arguments: str | Path) -> list[str]:
        return [self.python, "-m", "memguard", *map(str, arguments)]


def myself(home: Path) -> Person:
    return Person(None, sys.executable, home, _environment(home, [str(ROOT)]))


def normal_user() -> Person:
    """Skips the test where no interpreter of this version can be run by another user. Remove `home` afterwards."""
    import pwd

    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    python = _shared_python()
    packages = [sysconfig.get_path("purelib"), *site.getsitepackages()]
    for path in (ROOT, packages[0]):
        if not _open_to_others(Path(path)):
            pytest.skip(f"user {NORMAL_USER} cannot read {path}")
    home = Path(tempfile.mkdtemp(prefix="memguard-user-"))
    account = pwd.getpwnam(NORMAL_USER)
    os.chown(home, account.pw_uid, account.pw_gid)
    home.chmod(0o755)
    return Person(NORMAL_USER, python, home, _environment(home, [str(ROOT), *dict.fromkeys(packages)]))


def _environment(home: Path, paths: list[str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "TMPDIR": str(home),
        "MEMGUARD_STATE_DIR": str(home / "state"),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _shared_python() -> str:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin")):
        if candidate and _open_to_others(Path(candidate)) and _open_to_others(Path(os.path.realpath(candidate))):
            return candidate
    pytest.skip(f"no {version} here that user {NORMAL_USER} may execute")


def _open_to_others(path: Path) -> bool:
    """Whether everybody may read `path` and enter every directory above it."""
    return bool(path.stat().st_mode & 0o004) and all(parent.stat().st_mode & 0o001 for parent in path.parents)
