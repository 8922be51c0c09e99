"""The guard in a virtual machine with systemd and cgroup v2, as a normal user, beside the daemons that others use.

MEMGUARD_TEST_VM names a program that boots the machine: see test_diagnose_vm.py. Here it needs python3-numpy, earlyoom,
nohang and systemd-oomd, too. What counts: kills by the kernel (`oom_kill` of /proc/vmstat), and the longest time for
which another process on the machine stood still, a desktop's in miniature: it wakes 50 times a second, touches 24 MiB
of its own and reads a file.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests/programs"
VM = os.environ.get("MEMGUARD_TEST_VM")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),  # it boots in half a minute, emulated
    pytest.mark.skipif(not VM, reason="MEMGUARD_TEST_VM names no program that boots a virtual machine"),
]

HOSTILE = ("list", "burst", "pool", "shm", "map_later")
# The host's pool of strings takes minutes in an emulated machine; here each worker takes a MiB at a time.
POOL = """
import multiprocessing
def grow(number):
    held = []
    while True: held.append(bytearray(b"x") * (1 << 20))  # CULPRIT
if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool: pool.map(grow, range(4))
"""

HEARTBEAT = """
import signal, sys, time
longest, own, going = 0.0, bytearray(b"x") * (24 << 20), True
def end(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, end)
with open("/usr/bin/python3", "rb") as file:
    before = time.monotonic()
    while going:
        time.sleep(0.02)
        sum(own[::4096])
        file.seek(0)
        file.read(1 << 16)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
print(longest)
"""

# The job of the machine shields itself from the OOM killer, and its children inherit that: choom takes it back.
SCRIPT = r"""
mount -o remount,size=3G /dev/shm
systemctl stop systemd-oomd.socket systemd-oomd  # its socket starts it at boot, whoever else is to be tried
if [ -e /dev/vdd ]; then mkswap -q /dev/vdd; swapon /dev/vdd; fi
chmod -R a+rX /job; mkdir -p /tmp/state; chmod 777 /tmp/state
kills() { sed -n 's/^oom_kill //p' /proc/vmstat; }
one() {  # NAME GUARD PROGRAM OPTIONS
    argument=; [ $3 = shm ] && argument=/dev/shm/hostile
    command="python3 guard_$3.py $argument"
    case $2 in
        memguard) command="python3 -m memguard run --record /tmp/state/record.json $4 guard_$3.py $argument" ;;
        none) ;;
        *) systemctl start $2; sleep 2 ;;
    esac
    rm -f /tmp/state/record.json; before=$(kills)
    python3 heartbeat.py > /tmp/beat & beat=$!
    sleep 1.5; start=$(date +%s.%N)
    timeout -s KILL 100 choom -n 0 -- runuser -l tester -c \
        "cd /job; PYTHONPATH=/job MEMGUARD_STATE_DIR=/tmp/state exec $command" > /results/$1.out 2>&1
    code=$?; end=$(date +%s.%N)
    kill $beat; wait $beat
    cp /tmp/state/record.json /results/$1.record.json 2>/dev/null
    [ $2 = memguard ] || [ $2 = none ] || systemctl stop $2
    rm -f /dev/shm/hostile; pkill -KILL -u tester -f guard_; sleep 0.5
    left=$(find /sys/fs/cgroup/user.slice -name 'memguard-*' | wc -l)
    echo "{\"code\": $code, \"kills\": $(($(kills) - before)), \"gap\": $(cat /tmp/beat)," \
        "\"seconds\": $(echo "$end $start" | awk '{print $1 - $2}'), \"left\": $left}" > /results/$1.json
    echo "$1 $(cat /results/$1.json)"
}
"""


@dataclass(frozen=True)
class Case:
    guard: str
    program: str
    options: str = ""

    @property
    def name(self) -> str:
        return "-".join((self.guard, self.program, *self.options.replace("-", "").split()))


@dataclass(frozen=True)
class Outcome:
    code: int
    kills: int
    gap: float  # seconds
    seconds: float
    left: int  # cgroups that are still there
    text: str
    line: int | None  # named by memguard


def program(case: Case) -> str:
    return POOL if case.program == "pool" else (PROGRAMS / f"guard_{case.program}.py").read_text()


def boot(desk: Path, cases: list[Case], swap: int) -> dict[Case, Outcome]:
    """Boots once and runs one case after the other. `swap` in MiB."""
    calls = [f"one {case.name} {case.guard} {case.program} '{case.options}'" for case in cases]
    out = run_in_vm(desk, "\n".join(calls), cases, swap)
    return {case: read(out, case) for case in cases}


def run_in_vm(desk: Path, commands: str, cases: list[Case], swap: int) -> Path:
    out = desk / "out"
    (desk / "heartbeat.py").write_text(HEARTBEAT)
    (desk / "guard.sh").write_text(f"{SCRIPT}\n{commands}\n")
    for case in cases:
        (desk / f"guard_{case.program}.py").write_text(program(case))
    programs = {desk / f"guard_{case.program}.py" for case in cases}
    files = [desk / "heartbeat.py", ROOT / "memguard", *sorted(programs)]
    # 2 GiB can be mapped, and are more than may be used.
    environment = {**os.environ, "OUT": str(out), "SWAP": str(swap), "MEM": "2200", "LIMIT": "900"}
    command = [str(VM), str(desk / "guard.sh"), *map(str, files)]
    subprocess.run(command, env=environment, cwd=desk, timeout=960, check=False, stdout=subprocess.DEVNULL)
    return out


def read(out: Path, case: Case) -> Outcome:
    path = out / f"{case.name}.json"
    assert path.exists(), f"the machine left nothing of {case.name} in {out}"
    record = out / f"{case.name}.record.json"
    culprit = json.loads(record.read_text())["culprit"] if record.exists() else None
    text = (out / f"{case.name}.out").read_text(errors="replace")
    return Outcome(**json.loads(path.read_text()), text=text, line=(culprit or {}).get("line"))


@pytest.mark.parametrize("swap", [0, 1024])
def test_the_kernel_has_nothing_to_kill_and_the_machine_goes_on(tmp_path: Path, swap: int) -> None:
    """By what the machine has, and by a limit of the user's own: then inside a scope with a throttle."""
    cases = [Case("memguard", program, options) for options in ("", "--limit 700M") for program in HOSTILE]
    for case, outcome in boot(tmp_path, cases, swap).items():
        told = f"{case.name}: {outcome}"
        assert outcome.kills == 0, told
        assert outcome.code == 75, told
        assert outcome.gap < 1.0, told
        assert outcome.left == 0, told
        wanted = [number for number, line in enumerate(program(case).splitlines(), 1) if "# CULPRIT" in line]
        assert outcome.line in wanted, told


@pytest.mark.parametrize("swap", [0, 512])
def test_beside_the_daemons_that_others_use(tmp_path: Path, swap: int) -> None:
    """They end a script without a word of where it was; without any guard the kernel does."""
    guards = ["none", "earlyoom", "nohang", *(["systemd-oomd"] if swap else [])]
    outcomes = boot(tmp_path, [Case(guard, "burst") for guard in (*guards, "memguard")], swap)
    by_guard = {case.guard: outcome for case, outcome in outcomes.items()}
    assert by_guard["none"].kills >= 1 or by_guard["none"].seconds > 60, outcomes
    assert all("Traceback" not in by_guard[guard].text for guard in guards), outcomes
    guarded = by_guard["memguard"]
    assert guarded.kills == 0 and guarded.code == 75 and guarded.line is not None, outcomes
    assert guarded.gap <= max(0.5, by_guard["none"].gap), outcomes


KILLED_WATCHER = r"""
start() {  # OPTIONS: a guarded script in the background, its watcher killed after a while
    choom -n 0 -- runuser -l tester -c "cd /job; PYTHONPATH=/job MEMGUARD_STATE_DIR=/tmp/state \
        exec python3 -m memguard run --limit 400M $* guard_list.py" > /results/out 2>&1 &
    shell=$!
    until grep -q '"peak"' /tmp/state/runs/*/journal.jsonl 2>/dev/null; do sleep 0.1; done
    kill -KILL $(pgrep -u tester -f -o "^python3 -m memguard run"); wait $shell
    for _ in $(seq 600); do pgrep -u tester -f "^python3? guard_list.py" > /dev/null || break; sleep 0.1; done
    for _ in $(seq 50); do pgrep -u tester memguard-sentry > /dev/null || break; sleep 0.1; done
    tail -n 1 /tmp/state/runs/*/journal.jsonl > /results/$1.json
    cat /results/out >> /results/$1.out; rm -rf /tmp/state/runs
    find /sys/fs/cgroup -name 'memguard-*' >> /results/$1.left; pgrep -a -u tester -f guard_list >> /results/$1.left
}
start --on-watcher-death=leave; start --on-watcher-death=stop
"""


def test_a_killed_watcher_leaves_the_script_to_the_scope(tmp_path: Path) -> None:
    out = run_in_vm(tmp_path, KILLED_WATCHER, [Case("memguard", "list")], 0)
    left = json.loads((out / "--on-watcher-death=leave.json").read_text())["set"]
    assert left["watcher_death"].startswith("it was left inside the kernel's limit of 464 MiB")
    assert left["kernel_kills"] == 1
    stopped = json.loads((out / "--on-watcher-death=stop.json").read_text())["set"]
    assert stopped["watcher_death"] == "it was stopped"
    for how in ("leave", "stop"):
        assert (out / f"--on-watcher-death={how}.left").read_text() == ""
        assert "the guard itself (process" in (out / f"--on-watcher-death={how}.out").read_text()
