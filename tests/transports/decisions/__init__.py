"""What the rules of the middleware decide, over grids and drawn courses, written down line by line.

`python -m tests.transports.decisions` writes it anew.
"""
