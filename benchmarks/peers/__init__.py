"""Ours beside what people use instead: each fault is provoked in a peer as it is installed, and in ours.

``python -m benchmarks.peers --write`` keeps the table for the documentation. It needs the extra ``peers``.
"""
