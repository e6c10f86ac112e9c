"""How many handlers a worker has at work at once, and how long each may take."""

__all__ = ["HANDLERS", "HANDLER_S"]

HANDLERS = 8
"""Handlers at work at once: each holds a connection to the application's database, say, of which there are ten."""
HANDLER_S = 900.0
"""How long a handler may take before another worker may call its own: what hangs for a quarter of an hour hangs for
good; a download of a video takes seconds."""
