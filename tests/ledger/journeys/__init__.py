"""Journeys through a ledger, each decided by a number, written down line by line.

`python -m tests.ledger.journeys` writes them anew.
"""
