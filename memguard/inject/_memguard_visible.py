"""Text from outside on one line that a terminal does not obey; for the agent, and for memguard (records/visible.py).

    visible("a\\x1b[2Jb\\n")   ->   "a^[[2Jb^J"

Control characters are spelled as `cat -v` spells them, ^[ for ESC; those of C1, and bytes that are not UTF-8, as \\x9b;
what turns the direction of writing, or ends a line, as \\u202e. No import, Python 3.8 or later.
"""

# Unicode's Bidi_Control (UAX 9), and its two line ends beyond those of C0 and C1.
_UNSEEN = (0x061C, 0x200E, 0x200F, 0x2028, 0x2029) + tuple(range(0x202A, 0x202F)) + tuple(range(0x2066, 0x206A))

_SPELLED = {code: "^" + chr(code ^ 0x40) for code in list(range(32)) + [127]}
_SPELLED.update((code, "\\x%02x" % code) for code in range(128, 160))
_SPELLED.update((code, "\\u%04x" % code) for code in _UNSEEN)
_SPELLED.update((0xDC00 + byte, "\\x%02x" % byte) for byte in range(128, 256))  # surrogateescape (PEP 383): a file name


def visible(text):
    # type: (str) -> str
    """Can be encoded, too: no lone surrogate stays one."""
    if text.isprintable():
        return text
    spelled = text.translate(_SPELLED)
    try:
        spelled.encode("utf-8")
    except UnicodeEncodeError:  # surrogates that no file name has
        spelled = spelled.encode("utf-8", "backslashreplace").decode("utf-8")
    return spelled
