"""The central frozen dataclasses: what a command found out, and at the same time its JSON.

One file per command; codec.py turns any of them into JSON and back. Sizes are int bytes, times float seconds;
None means "not measured". Fields may be added, never renamed: others read these files.
"""
