"""Objects that stand where a list of tokens or the text of a file stood, and keep their contents on the disk.

Each has the values of what it replaces. What it cannot do like that raises a TypeError or AttributeError that names
what to write instead; nothing is silently different. docs/dropin.md has the table.
"""
