"""Which failure means that a request surely did not arrive.

Names instead of classes, so that neither HTTP library is imported to ask.
"""

from __future__ import annotations

__all__ = ["describe", "is_library_error", "is_of_the_network", "names_of", "surely_not_sent"]

_LIBRARIES = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})
_ROOTS = frozenset({"HTTPError", "InvalidURL", "StreamError", "CookieConflict", "RequestError"})
_ROOTS_BELOW = frozenset({"NetworkError", "TimeoutException", "ProtocolError", "ProxyError", "UnsupportedProtocol"})
"""Those of httpcore and httpcore2, which a caller's own transport may let through."""
_BEFORE_THE_FIRST_BYTE = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"})
"""Raised while there is no connection yet, in httpx 0.28 and httpx2 2.16 alike.

All others (``ReadTimeout``, ``WriteError``, ``RemoteProtocolError`` …) come when bytes
may have left."""
_OF_THE_NETWORK = frozenset({"TimeoutException", "NetworkError", "RemoteProtocolError", "ProxyError"})
"""What another attempt may be spared. The others (a URL that makes no sense, a body that was read twice, an answer that
cannot be decoded) it would meet again."""
_SHOWN = 200


def names_of(error: BaseException) -> set[str]:
    """Return the names of an error's classes as far as they are an HTTP library's."""
    return {kind.__name__ for kind in type(error).__mro__ if kind.__module__.partition(".")[0] in _LIBRARIES}


def is_library_error(error: BaseException) -> bool:
    """Return whether an error is one of an HTTP library's own, rather than a fault of the program."""
    return not (_ROOTS | _ROOTS_BELOW).isdisjoint(names_of(error))


def is_of_the_network(error: BaseException) -> bool:
    """Return whether an HTTP library's error is about the way to the service, which may be better the next time."""
    return not _OF_THE_NETWORK.isdisjoint(names_of(error))


def surely_not_sent(error: BaseException, *, body_was_read: bool | None) -> bool:
    """Return whether the service surely did not get the request.

    What became of the body is better evidence than the error's class: a transport that
    repeats by itself may have delivered the request and end in a connect error.

    Args:
        error: What the HTTP library raised.
        body_was_read: Whether anything below took the request's body to send it; None if
            nobody watched, and then the class has to do.
    """
    if body_was_read is None:
        # A transport of this package that refused a request knows.
        if getattr(error, "surely_not_sent", False) is True:
            return True
        return not _BEFORE_THE_FIRST_BYTE.isdisjoint(names_of(error))
    return not body_was_read


def describe(error: BaseException) -> str:
    """Return what went wrong in one clause: the error's name and its own short text."""
    text = " ".join(str(error).split())
    if len(text) > _SHOWN:
        text = text[:_SHOWN] + "…"
    name = type(error).__name__
    return f"{name} ({text})" if text else name
