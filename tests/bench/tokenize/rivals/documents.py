"""What the scripts that work by document are given: the text in stretches of about 4 KB that end with a line."""

from collections.abc import Iterator


def documents(path: str) -> Iterator[str]:
    lines, size = [], 0
    with open(path, encoding="utf-8", newline="") as file:
        for line in file:
            lines.append(line)
            size += len(line)
            if size >= 4000:
                yield "".join(lines)
                lines, size = [], 0
    if lines:
        yield "".join(lines)
