"""The `memguard` command: main.py finds the command; each has a file that parses its flags and calls the rooms below."""
