"""The `memguard` command: main.py finds the command, one file per command parses its flags and calls the rooms below."""
