"""What a ledger may say after all that its senders heard: nothing lost, nothing sent twice, no bill that falls.

A send may have made a task or not. Until its sender has heard, both are possible; where the answer is lost, both stay.
What is possible is all that this judge knows: the truth is the service's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

MADE, NOT_MADE = "made", "not made"
# From surely nothing to surely owed.
WORTH = ("NONE", "NOT_YET", "ON_SUCCESS", "PARTIAL_POSSIBLE", "UNDETERMINED", "BILLED")
ENDS = {"SUCCEEDED", "FAILED", "CANCELED", "REFUSED", "EXPIRED", "ABANDONED"}
OUT = {"SUBMITTING", "IN_DOUBT"}
GOES_ON = {"QUEUED", "RUNNING", "UNRECOGNIZED", "UNLISTED"}


@dataclass(frozen=True)
class View:
    """One entry as it stands: where, what may be owed, how often it was sent, which of these sends are in doubt."""

    phase: str
    billing: str
    sends: int
    doubtful: frozenset[int]


@dataclass
class Sent:
    """One request that left for an entry, and what it may have come to.

    Attributes:
        entry_id: Of which entry.
        number: Which send of it.
        name: What it made, if it made something.
        could: What it may have come to, as far as its sender heard.
        is_overruled: Whether a human allowed another send in spite of it.
    """

    entry_id: int
    number: int
    name: str
    could: set[str] = field(default_factory=lambda: {MADE, NOT_MADE})
    is_overruled: bool = False


@dataclass
class Judge:
    """All sends there were, and how every entry stood before."""

    sent: list[Sent] = field(default_factory=list)
    before: dict[int, View] = field(default_factory=dict)

    def leaves(self, entry_id: int, number: int) -> Sent:
        """Note that a request leaves; fail if an earlier one of the same entry may have made something."""
        for earlier in self.sent:
            if earlier.entry_id == entry_id and not earlier.is_overruled:
                assert earlier.could == {NOT_MADE}, f"sent again although the earlier send may have made {earlier.name}"
        self.sent.append(Sent(entry_id, number, f"made-{len(self.sent)}"))
        return self.sent[-1]

    def overruled(self, entry_id: int) -> None:
        """Note that a human takes the risk of what was sent so far."""
        for one in self.sent:
            one.is_overruled |= one.entry_id == entry_id

    def may_stand(self, entry_id: int, seen: str) -> set[str]:
        """Return where an entry may stand after its task was seen somewhere: an end stays, but for a mere conclusion,
        and that one stays where the task is still not known."""
        was = self.before[entry_id].phase
        if was == "EXPIRED" and seen != "UNRECOGNIZED":
            return {seen}
        return {was} if was in ENDS else {seen}

    def check(self, entries: Mapping[int, View], recorded: Collection[str]) -> None:
        """Fail unless all entries, and what is recorded in or beside them, are possible."""
        for one in self.sent:
            self._nothing_is_forgotten(one, entries[one.entry_id], recorded)
        for entry_id, view in entries.items():
            sends = [one for one in self.sent if one.entry_id == entry_id and not one.is_overruled]
            if view.phase == "NEW":
                assert all(one.could == {NOT_MADE} for one in sends), "new, and something may have been made"
            if view.phase in GOES_ON:
                assert view.billing != "NONE", "an open task is not free"
            if entry_id in self.before:
                _only_rises(self.before[entry_id], view)
        self.before = dict(entries)

    def _nothing_is_forgotten(self, one: Sent, view: View, recorded: Collection[str]) -> None:
        if one.could == {NOT_MADE} or one.name in recorded:
            return
        assert one.could != {MADE}, f"{one.name} was heard, and is neither in an entry nor beside one"
        is_out = view.phase in OUT and view.sends == one.number
        is_given_up = view.phase == "ABANDONED" and view.billing != "NONE"
        is_told = is_out or is_given_up or one.number in view.doubtful
        assert is_told, f"{one.name} may be billed, and nothing says so: {view}"


def _only_rises(was: View, now: View) -> None:
    if was.phase in ENDS and was.phase != "EXPIRED":
        assert now.phase == was.phase, "an end absorbs"
        assert WORTH.index(now.billing) >= WORTH.index(was.billing), "after an end a bill only rises"
