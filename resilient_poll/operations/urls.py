"""The URLs that a service names in its answers, and whether they may be followed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from resilient_poll.operations.asks import Ask, Maker
from resilient_poll.operations.token import Kept, relative
from resilient_poll.specs.acceptors import Reply
from resilient_poll.specs.addresses import Forbidden, filled, resolved
from resilient_poll.specs.calls import SubmitUrl, UrlSource
from resilient_poll.specs.operation import OperationSpec
from resilient_poll.specs.places import Place, find

__all__ = ["Urls", "find_or_none", "home_of"]


class Urls:
    """The URLs that a service names in its answers, and whether they may be followed.

    Args:
        spec: The declaration.
        home: The origin that the credentials are for.
        kept: What is known of them already.
    """

    def __init__(self, spec: OperationSpec, home: str, kept: Kept | None = None) -> None:
        self._spec = spec
        self._home = home
        self.kept = kept or Kept()
        self._troubles: dict[str, str] = {}

    @property
    def trouble(self) -> str | None:
        """Why the status URL of the last answer may not be asked, if so."""
        return self._troubles.get("status")

    @property
    def result_trouble(self) -> str | None:
        """Why the result's URL of the last answer may not be asked, if so."""
        return self._troubles.get("result")

    def named_at_first(self, reply: Reply, asked_url: str) -> str | None:
        """Take over what the answer to a submit names; return what stands for the id if there is none."""
        self.take(reply, asked_url)
        if self.kept.result is None and any(isinstance(source, SubmitUrl) for source in self._spec.result_urls):
            self.kept = replace(self.kept, result=asked_url)
        if self.kept.status is not None:
            return relative(self.kept.status, self._home).partition("?")[0]
        return None if self.trouble is None else "(at a URL that is not followed)"

    def remember(self, trouble: str | None) -> None:
        """Take over why the status URL of an answer that somebody else read may not be asked."""
        if trouble is not None:
            self._troubles["status"] = trouble

    def take(self, reply: Reply, asked_url: str) -> None:
        """Take over the URLs that an answer names. One that is forbidden is trouble, and nothing is sent to it."""
        self._troubles = {}
        for what, sources in self._places():
            try:
                if (found := _named(sources, reply)) is not None:
                    address = resolved(found, asked_url, self._home, self._spec.allow_hosts)
                    self.kept = replace(self.kept, **{what: address.url})
            except Forbidden as refusal:
                self._troubles[what] = str(refusal)
                if what != "status":
                    self.kept = replace(self.kept, **{what: None})

    def _places(self) -> tuple[tuple[str, tuple[UrlSource, ...]], ...]:
        spec = self._spec
        rows: list[tuple[str, tuple[UrlSource, ...]]] = [("result", spec.result_urls)]
        if spec.cancel is not None:
            rows.append(("cancel", spec.cancel.urls))
        if spec.query is not None:
            rows.append(("status", spec.query.urls))
        return tuple(rows)

    def check(self) -> None:
        """See to it that there is a status URL that may be asked, if the service named one.

        Raises:
            Forbidden: It named only one that may not.
        """
        if self.trouble is not None and self.kept.status is None:
            raise Forbidden(self.trouble)

    def to_ask(self, what: str, sources: tuple[UrlSource, ...], task_id: str) -> Ask | None:
        """Return what to ask for something, or None if nothing names it.

        Raises:
            Forbidden: It may not be asked.
        """
        if (url := getattr(self.kept, what)) is not None:
            address = resolved(url, self._home + "/", self._home, self._spec.allow_hosts)
            return Ask(address.url, is_home=address.is_home, is_exact=True)
        for source in sources:
            if isinstance(source, str):
                return Ask(filled(source, task_id))
        return None


def _named(sources: tuple[UrlSource, ...], reply: Reply) -> Any:
    for source in sources:
        if isinstance(source, str | SubmitUrl):
            continue
        if (found := find_or_none(source, reply)) is not None:
            return found
    return None


def home_of(spec: OperationSpec, maker: Maker) -> str:
    """Return the origin that an operation belongs to when nothing was submitted here.

    Raises:
        ConfigurationError: It cannot be told.
    """
    declared = None if spec.submit is None else spec.submit.url
    templates = [] if spec.query is None else [url for url in spec.query.urls if isinstance(url, str)]
    return maker.home_of(declared or next((filled(url, "id") for url in templates), "/"))


def find_or_none(place: Place | str | None, reply: Reply) -> Any:
    """Return what is at a place, or None where nothing can be found."""
    try:
        return find(place, reply)
    except ValueError:
        return None
