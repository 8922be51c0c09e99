"""Writes docs/messages.md from the entries of memguard/diagnose/messages/.

python -m tests.diagnose.messages
"""

from __future__ import annotations

from pathlib import Path

from memguard.diagnose.messages import MESSAGES

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).parent.parent.parent / "docs" / "messages.md"
_VERDICTS = {
    "killer": "`userspace-killer`",
    "reporter": "`memcg-oom`, `oom-kill`",
    "memory": "`oom-kill`",
    "shm": "`shm-full`",
    "allocation": "`allocation-failure`",
    "thrashing": "`thrashing`",
    "not-memory": "`not-memory`",
    "hang": "`hang`",
    "unclear": "`unknown`, with this as evidence",
}
_HEAD = """# What other programs' messages mean

`memguard diagnose` knows these messages beside the kernel's own reports. Each is one entry in
`memguard/diagnose/messages/`, and this page is written from them (`python -m tests.diagnose.messages`).

| who says it | verdict | what it means | example |
|---|---|---|---|
"""


def page() -> str:
    rows = []
    for message in MESSAGES:
        if message.cause != "context":
            example = message.example.split("\n")[-1].strip()
            shown = example if len(example) <= 90 else example[:89] + "…"
            quoted = shown.replace("|", "\\|").replace("`", "'")
            rows.append(f"| {message.source} | {_VERDICTS[message.cause]} | {message.meaning} | `{quoted}` |\n")
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
