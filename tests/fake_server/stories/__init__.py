"""What the fake answers to a wild client in every shipped scenario, written down line by line.

`python -m tests.fake_server.stories` writes it anew.
"""
