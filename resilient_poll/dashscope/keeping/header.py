"""What a service makes of a header that names a create, and what is sent as it. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum

from resilient_poll.errors import ConfigurationError
from resilient_poll.ledger.entry import Entry

__all__ = ["HeaderTreatment", "IdempotencyHeader", "header_value"]

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
USUAL_NAME = "Idempotency-Key"
"""Source: IETF draft *The Idempotency-Key HTTP Header Field*."""


class HeaderTreatment(StrEnum):
    """What a service does with such a header."""

    HONOURED = "honoured"
    REJECTED = "rejected"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class IdempotencyHeader:
    """What a service makes of a header that names a create.

    Of both dialects nothing is documented, so both count as ``IdempotencyHeader.ignored()`` unless told
    otherwise. Whatever it is, a create whose answer is lost is never sent again by itself.

    Attributes:
        treatment: ``HONOURED``: a repeated create with the same value makes no second task, so a hash of the
            account, the idempotency key and its attempt is sent. ``REJECTED``: a request with it is refused, so it
            is not sent, and must not be among ``headers`` either. ``IGNORED``: it does nothing, and is not sent.
        name: What it is called.

    Raises:
        ConfigurationError: It makes no sense.
    """

    treatment: HeaderTreatment
    name: str = USUAL_NAME

    def __post_init__(self) -> None:
        treatment: object = self.treatment
        name: object = self.name
        if treatment not in list(HeaderTreatment):
            raise ConfigurationError(f"a header is {', '.join(HeaderTreatment)}, not {treatment!r:.40}")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(f"the idempotency header's name is none: {name!r:.40}")

    @classmethod
    def honoured(cls, name: str = USUAL_NAME) -> IdempotencyHeader:
        """Return that the service makes one task for all creates with one value of the header."""
        return cls(HeaderTreatment.HONOURED, name)

    @classmethod
    def rejected(cls, name: str = USUAL_NAME) -> IdempotencyHeader:
        """Return that the service refuses requests with the header."""
        return cls(HeaderTreatment.REJECTED, name)

    @classmethod
    def ignored(cls) -> IdempotencyHeader:
        """Return that the service does nothing with such a header, or that nobody knows."""
        return cls(HeaderTreatment.IGNORED)

    @property
    def is_sent(self) -> bool:
        """Whether creates carry it."""
        return self.treatment is HeaderTreatment.HONOURED


def header_value(entry: Entry) -> str:
    """Return what is sent for an attempt of a key: the same for each of its sendings, and for no other attempt.

    Args:
        entry: The attempt, as the ledger has it. Neither its key nor its account can be read from the value.
    """
    space = entry.namespace
    parts = ["resilient-poll create", space.origin, space.dialect, space.account, entry.key, entry.attempt]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
