"""What the client reads from answers of every kind, and what it sends, written down line by line.

`python -m tests.dashscope.readings` writes it anew.
"""
