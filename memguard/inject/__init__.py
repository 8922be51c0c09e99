"""What goes into the guarded script's own Python; it imports nothing of memguard. `memguard run` puts this directory
first on PYTHONPATH, where sitecustomize.py loads the agent.
"""
