"""What the middleware decides: plain functions and small state machines.

No clock, no chance, no I/O: instants and draws are passed in, so every decision can be
tested without waiting, and is the same in every colour and for every library.
"""
