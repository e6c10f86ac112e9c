"""What our tests use of the fake's transports without a socket, with the client's own virtual clock."""

from __future__ import annotations

from fake_server.testing.transport import ORIGIN, answer_from, engine_transport

__all__ = ["ORIGIN", "answer_from", "engine_transport"]
