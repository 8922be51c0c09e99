"""Real kills in a virtual machine with systemd and cgroup v2: `memguard diagnose` without arguments after each.

MEMGUARD_TEST_VM names a program that boots the machine: `PROGRAM SCRIPT FILES…` runs SCRIPT as root with FILES beside
it in /job, and copies what the script leaves in /results to $OUT. The machine needs python3, systemd-oomd and earlyoom.
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
VM = os.environ.get("MEMGUARD_TEST_VM")
LIBRARIES = ("rich", "markdown_it", "mdurl", "pygments", "platformdirs")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),  # it boots in half a minute, emulated; the kills take minutes
    pytest.mark.skipif(not VM, reason="MEMGUARD_TEST_VM names no program that boots a virtual machine"),
]

# Grows until something stops it; touches every page.
PREPARE = """
import sys
held = []
for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 10**9):
    held.append(bytearray(b"x") * (1 << 20))
"""

SCRIPT = r"""
export PYTHONPATH=/job MEMGUARD_STATE_DIR=/tmp/state
cd /job
answer() {  # NAME: what diagnose says right after
    python3 -m memguard diagnose --no-estimate --json > /results/$1.json 2> /results/$1.err; echo $? > /results/$1.code
    COLUMNS=100 python3 -m memguard diagnose --no-estimate > /results/$1.txt 2>> /results/$1.err
    journalctl -b -q -o short-iso --no-pager > /results/$1.journal.txt
}
# The job of the machine shields itself from the OOM killer, and its children inherit that: choom takes it back.
echo "== a scope with MemoryMax"
systemd-run --scope -q -p MemoryMax=120M -p MemorySwapMax=0 choom -n 0 -- python3 prepare.py train.txt
echo "ended with $?"; sleep 1; answer memcg
runuser -l tester -c "cd /job; PYTHONPATH=/job python3 -m memguard diagnose --no-estimate --json" > /results/tester.json
echo "== earlyoom"
swapoff -a; systemctl start earlyoom; sleep 3
systemd-run --scope -q choom -n 0 -- python3 prepare.py train.txt
echo "ended with $?"; sleep 2; systemctl stop earlyoom; answer earlyoom
echo "== the machine is full"
systemd-run --scope -q choom -n 0 -- python3 prepare.py train.txt
echo "ended with $?"; sleep 1; answer global
echo "== systemd-oomd"
mkswap -q /dev/vdd; swapon /dev/vdd
mkdir -p /etc/systemd/oomd.conf.d
printf '[OOM]\nDefaultMemoryPressureDurationSec=2s\n' > /etc/systemd/oomd.conf.d/fast.conf
systemctl restart systemd-oomd; sleep 2
mkdir -p /etc/systemd/system/prep.slice.d
cat > /etc/systemd/system/prep.slice.d/oomd.conf <<END
[Slice]
ManagedOOMMemoryPressure=kill
ManagedOOMMemoryPressureLimit=5%
END
systemctl daemon-reload
systemd-run --scope -q --slice=prep.slice -p MemoryHigh=100M choom -n 0 -- python3 prepare.py train.txt
echo "ended with $?"; sleep 2; answer oomd
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = tmp_path_factory.mktemp("vm")
    out = desk / "out"
    (desk / "prepare.py").write_text(PREPARE)
    (desk / "train.txt").write_text("a line\n")
    (desk / "kills.sh").write_text(SCRIPT)
    files = [desk / "prepare.py", desk / "train.txt", ROOT / "memguard"]
    files += [Path(sysconfig.get_path("purelib")) / name for name in LIBRARIES]
    environment = {**os.environ, "OUT": str(out), "SWAP": "256", "LIMIT": "900"}
    command = [str(VM), str(desk / "kills.sh"), *map(str, files)]
    subprocess.run(command, env=environment, cwd=desk, timeout=960, check=False, stdout=subprocess.DEVNULL)
    assert (out / "memcg.json").exists(), f"the machine left nothing in {out}"
    return out


def read(results: Path, name: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    record = json.loads((results / f"{name}.json").read_text())
    assert (results / f"{name}.code").read_text().strip() == "1"
    return record, record["events"][0], " ".join((results / f"{name}.txt").read_text().split())


def test_a_scope_with_a_limit(results: Path) -> None:
    record, event, text = read(results, "memcg")
    assert (record["verdict"], record["confidence"], event["killer"]) == ("memcg-oom", "certain", "kernel")
    assert (event["task"], event["limit"], event["limit_name"]) == ("python3", 120 << 20, "memory.max")
    assert event["oom_memcg"].endswith(".scope")
    assert (record["script"], record["inputs"]) == ("prepare.py", ["train.txt"])
    assert "had reached its limit of 120 MiB" in text


def test_a_normal_user_is_told_what_the_user_may_not_read(results: Path) -> None:
    record = json.loads((results / "tester.json").read_text())
    assert any("not read, only root" in source for source in record["sources"])
    assert any("/proc/vmstat: 1 kill(s)" in source for source in record["sources"])


def test_earlyoom(results: Path) -> None:
    record, event, text = read(results, "earlyoom")
    assert (record["verdict"], event["killer"], event["task"]) == ("userspace-killer", "earlyoom", "python3")
    assert event["anon_rss"] > 1 << 30
    assert text.startswith("earlyoom, not the kernel, stopped python3")


def test_the_whole_machine(results: Path) -> None:
    record, event, text = read(results, "global")
    assert (record["verdict"], event["killer"], event["task"]) == ("oom-kill", "kernel", "python3")
    assert event["constraint"] == "CONSTRAINT_NONE" and event["memory_total"] > 1 << 30
    assert "the whole machine was out of memory" in text


def test_systemd_oomd(results: Path) -> None:
    record, event, text = read(results, "oomd")
    assert (record["verdict"], event["killer"]) == ("userspace-killer", "systemd-oomd")
    assert event["task_memcg"].startswith("/prep.slice/run-")
    assert text.startswith("systemd-oomd, not the kernel, killed everything in /prep.slice/run-")
