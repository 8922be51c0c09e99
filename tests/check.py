"""The one command that checks everything: format, lint, strict types, tests. CI calls it too.

python -m tests.check             all of it
python -m tests.check --fix       first formats and fixes what can be fixed
python -m tests.check --no-tests  format, lint and types only
python -m tests.check --slow      the slow tests too
"""

from __future__ import annotations

import subprocess
import sys

OPTIONS = {"--fix", "--no-tests", "--slow"}


def commands(options: set[str]) -> list[list[str]]:
    python = [sys.executable, "-m"]
    steps = []
    if "--fix" in options:
        steps += [
            [*python, "ruff", "check", "--fix", "--quiet", "."],
            [*python, "ruff", "format", "--quiet", "."],
        ]
    steps += [
        [*python, "ruff", "format", "--check", "."],
        [*python, "ruff", "check", "."],
        [*python, "mypy"],
    ]
    if "--no-tests" not in options:
        steps.append([*python, "pytest"])
    if "--slow" in options:
        steps.append([*python, "pytest", "-m", "slow", "-n0"])
    return steps


def main() -> int:
    options = set(sys.argv[1:])
    if options - OPTIONS:
        print(__doc__)
        return 2
    failed = []
    for command in commands(options):
        print("$", *command[1:], flush=True)
        if subprocess.run(command).returncode:
            failed.append(" ".join(command[2:]))
    print("failed: " + "; ".join(failed) if failed else "all is well")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
