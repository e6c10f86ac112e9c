"""Walks of the machine, each decided by a number, written down line by line.

`python -m tests.machine.traces` writes them anew; the difference is what a change does to everybody's waits.
"""
