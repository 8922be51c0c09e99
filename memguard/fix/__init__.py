"""`memguard fix`: the lines of a script that eat its memory, changed so that it streams to the same output bytes.

    reasons.py   why a line is left as it is: a closed list
    roles.py     what each drop-in object can take the place of: the uses that are safe
    sites.py     what may be changed: script/flow's things and uses × roles.py → Change or Left
    rewrite.py   a Change → Edits: byte spans of the source with their new text
    edits.py     Edits applied; where the import goes; the form that keeps the line numbers
    proof.py     which of the changes are worth it: the script read and estimated again without each of them
    comments.py  # memguard: ignore[rule]
    job.py       all of it for a file and its inputs: fix_script(); the one part that touches the machine
    verify.py    the original and the fixed script run on a slice, and compared

A rewrite follows values, not names: see script/flow. What is not surely the same is left, with the line and the reason.
"""
