"""A ledger in PostgreSQL: the same promises, and what only a server can do to it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from resilient_poll.ledger.errors import EntryCorrupt, LedgerUnavailable, LedgerUnusable
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.schema import STEPS
from resilient_poll.ledger.testing import CHECKS, Check
from resilient_poll.machine.lifecycle import Phase
from tests.ledger.actor import HERE, KEYS, acting, go_on, hear
from tests.ledger.ledger_world import LedgerLife, run_machine
from tests.ledger.test_processes import POINTS, race, wait_for_stop
from tests.support.profiles import examples
from tests.support.properties import GENUINE

psycopg = pytest.importorskip("psycopg")
from resilient_poll.ledger.postgres import PostgresLedger, PostgresStore  # noqa: E402  # only where it is installed


@pytest.fixture
def ledger(conninfo: str) -> Iterator[PostgresLedger]:
    """A new, empty ledger."""
    with PostgresLedger(conninfo) as opened:
        yield opened


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_postgres_conforms(check: Check, ledger: PostgresLedger) -> None:
    """A ledger in PostgreSQL does what any ledger must do."""
    check(ledger)


def test_nothing_is_lost_or_paid_twice_in_postgres(ledger: PostgresLedger) -> None:
    """Whoever dies, pauses, or loses its session: one send per licence, no id lost, doubts kept, no bill falls."""
    store = ledger._store

    class LedgerLifeInPostgres(LedgerLife):
        """The same in one database, emptied before each run."""

        def new_ledger(self) -> Ledger:
            for entry in ledger.entries(limit=1000):
                store.run(lambda rows, entry=entry: rows.delete("entries", [entry.entry_id]), "synced")  # type: ignore[misc, arg-type]  # a word is enough
            for stray in ledger.strays():
                store.run(lambda rows, stray=stray: rows.delete("strays", [stray.stray_id]), "synced")  # type: ignore[misc, arg-type]  # as above
            return ledger

        def close_ledger(self) -> None:
            """It is the next run's as well."""

    run_machine(LedgerLifeInPostgres, settings(GENUINE, max_examples=examples(15)))


def test_processes_that_want_the_same_get_one_licence_each(conninfo: str) -> None:
    """Eight processes that begin and license the same hundred keys at once get a hundred licences together."""
    assert sum(race(conninfo)) == KEYS


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_leaves_a_doubt(conninfo: str, ledger: PostgresLedger, point: str) -> None:
    """Killed after its licence was given, a process leaves a doubt; before, an intent."""
    with acting(conninfo, "submit", point, "kill") as actor:
        assert hear(actor) == "begun"
        go_on(actor)
        assert actor.wait() == -signal.SIGKILL
        entry = ledger.find(HERE, "key")
        assert entry is not None
        while entry.phase is Phase.SUBMITTING:  # the server sees within moments that the session is gone
            ledger.settle_the_dead(now_wall_s=2000.0)
            entry = ledger.get(entry.entry_id)
        assert entry.phase is POINTS[point]


def test_a_pause_leaves_everything_as_it_is(conninfo: str, ledger: PostgresLedger) -> None:
    """Stopped before the first byte for longer than any time-out, a process still holds its licence, and goes on."""
    with acting(conninfo, "submit", "before the first byte", "stop") as actor:
        assert hear(actor) == "begun"
        go_on(actor)
        wait_for_stop(actor)
        assert ledger.settle_the_dead(now_wall_s=9e9) == ()
        entry = ledger.find(HERE, "key")
        assert entry is not None
        assert entry.phase is Phase.SUBMITTING
        actor.send_signal(signal.SIGCONT)
        assert hear(actor) == "task-1"
        assert ledger.get(entry.entry_id).task_id == "task-1"


def test_a_writer_that_is_stopped_is_told_of(conninfo: str) -> None:
    """While a process is stopped in the middle of a write, others can read, and hear in bounded time why not write."""
    with (
        acting(conninfo, "submit", "licensed", "stop") as actor,
        PostgresLedger(conninfo) as ledger,
        PostgresLedger(conninfo, busy_s=0.05) as impatient,
    ):
        assert hear(actor) == "begun"
        go_on(actor)
        wait_for_stop(actor)
        assert ledger.find(HERE, "key") is not None
        with pytest.raises(LedgerUnavailable, match="in use by another process"):
            impatient.begin(HERE, "another", "digest", now_wall_s=2000.0)
        actor.send_signal(signal.SIGCONT)
        assert hear(actor) == "task-1"


def test_a_child_opens_its_own(conninfo: str, ledger: PostgresLedger) -> None:
    """After a fork the child may not use what it inherited."""
    with acting(conninfo, "fork") as actor:
        assert hear(actor) == "3 refused, 0 settled"
        go_on(actor)
        assert ledger.get(1).phase is Phase.SUBMITTING


def sessions_end(server: str) -> None:
    """End all sessions but one's own, as a restart or a broken network does."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


def test_broken_sessions_are_made_anew(postgres_server: str, ledger: PostgresLedger) -> None:
    """After the server ended all sessions the ledger goes on, and an owner takes its lock again before it sends."""
    owner = ledger.open_owner()
    licence = ledger.license(ledger.begin(HERE, "key", "digest", now_wall_s=1.0), owner, now_wall_s=1.0)
    assert licence is not None
    sessions_end(postgres_server)
    # Its lock is gone, so it seems dead: a doubt, which its id settles.
    assert ledger.settle_the_dead(now_wall_s=2.0) == (licence.entry_id,)
    assert ledger.accept(licence, "task-1", now_wall_s=2.0).task_id == "task-1"
    again = ledger.license(ledger.begin(HERE, "more", "digest", now_wall_s=3.0), owner, now_wall_s=3.0)
    assert again is not None
    assert ledger.settle_the_dead(now_wall_s=3.0) == ()
    owner.close()


def test_a_session_that_breaks_in_the_middle_writes_nothing(postgres_server: str, ledger: PostgresLedger) -> None:
    """A transaction whose session ends before its commit is an error of ours, and leaves nothing."""

    def work(rows: object) -> None:
        rows.set_setting("half", "done")  # type: ignore[attr-defined]  # the rows of a store
        sessions_end(postgres_server)
        rows.set_setting("half", "more")  # type: ignore[attr-defined]  # as above

    with pytest.raises(LedgerUnavailable, match="cannot be reached, or broke off"):
        ledger._store.run(work, "synced")  # type: ignore[arg-type]  # a word is enough
    assert ledger.setting("half") is None


def test_ctrl_c_at_a_transaction_s_begin_leaves_none_open(
    ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading transaction whose begin was interrupted is over, and the next write on its session is none of it."""
    connection = ledger._store._lines["quick"]._open
    execute, struck = psycopg.Connection.execute, []

    def interrupted(self: Any, text: Any, *values: Any) -> Any:
        cursor = execute(self, text, *values)
        if str(text).startswith("BEGIN") and not struck:
            struck.append(text)
            raise KeyboardInterrupt
        return cursor

    monkeypatch.setattr(psycopg.Connection, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ledger.entries()
    assert connection is None or connection.info.transaction_status.name == "IDLE"
    entry = ledger.begin(HERE, "key", "digest", now_wall_s=1.0)
    assert ledger.claim(HERE, "worker", for_s=30.0, now_wall_s=1.0).entries == ()
    assert ledger.get(entry.entry_id) == entry


def test_a_server_that_is_not_heard_of_is_given_up(conninfo: str) -> None:
    """A connection to a machine that fell silent breaks within half a minute, unless the caller says otherwise."""
    with PostgresLedger(conninfo) as usual, PostgresLedger(f"{conninfo} keepalives_idle=60") as own:
        found = [ledger._store._lines["synced"]._open.info.get_parameters() for ledger in (usual, own)]
        with usual.open_owner() as owner:
            found.append(owner._session.info.get_parameters())
    assert [one["keepalives_idle"] for one in found] == ["10", "60", "10"]
    idle_s, interval_s, count = (int(found[0][f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
    assert idle_s + interval_s * count <= 30
    assert all(int(one["tcp_user_timeout"]) <= 30_000 for one in found)


def test_a_server_that_is_not_there_is_said(tmp_path: object) -> None:
    """A server that cannot be reached is one sentence, without the password."""
    with pytest.raises(LedgerUnavailable, match="cannot be reached") as caught:
        PostgresLedger(f"host={tmp_path} user=test password=swordfish")
    assert "swordfish" not in str(caught.value)


def test_a_newer_schema_is_refused_and_an_older_one_brought_up(conninfo: str) -> None:
    """A database of a later release is left alone; one of an earlier release is migrated, with what it holds."""
    with PostgresLedger(conninfo) as ledger:
        kept = ledger.begin(HERE, "key", "digest", now_wall_s=1.0)
    more = (*STEPS, ("ALTER TABLE {prefix}entries ADD COLUMN colour TEXT",))
    PostgresStore(conninfo, steps=more).close()
    with pytest.raises(LedgerUnusable, match=f"of version {len(more)}"):
        PostgresLedger(conninfo)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("UPDATE resilient_poll_settings SET value = '1' WHERE name = 'schema_version'")
        connection.execute("ALTER TABLE resilient_poll_entries DROP COLUMN colour")
        connection.execute("DROP TABLE resilient_poll_slots")
    with PostgresLedger(conninfo) as ledger:
        assert ledger.get(kept.entry_id) == kept


def test_tables_of_others_are_left_alone(conninfo: str) -> None:
    """Tables of the same names that are not ours are refused."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE resilient_poll_entries (colour TEXT)")
    with pytest.raises(LedgerUnusable, match="other tables of the same names"):
        PostgresLedger(conninfo)


def test_who_may_not_write_is_told(conninfo: str) -> None:
    """A role without rights is told what it lacks."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS nobody_much")
        connection.execute("CREATE ROLE nobody_much LOGIN")
    with pytest.raises(LedgerUnusable, match="schema"):
        PostgresLedger(conninfo.replace("user=test", "user=nobody_much"))


def test_a_damaged_row_hides_no_other(conninfo: str, ledger: PostgresLedger) -> None:
    """A row that cannot be read is reported with its number, and the others are listed."""
    good, bad = (ledger.begin(HERE, key, "digest", now_wall_s=1.0) for key in ("good", "bad"))
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("UPDATE resilient_poll_entries SET phase = 'PONDERING' WHERE row_id = %s", (bad.entry_id,))
    found = ledger.entries()
    assert [entry.entry_id for entry in found] == [good.entry_id]
    assert [error.entry_id for error in found.corrupt] == [bad.entry_id]
    with pytest.raises(EntryCorrupt, match="phase should be the name of a phase"):
        ledger.get(bad.entry_id)


def test_what_is_money_is_synced(ledger: PostgresLedger) -> None:
    """Commits of licences and ids wait for the disk; leases and hand-overs do not."""
    shown: dict[str, object] = {}
    for durability in ("synced", "quick"):

        def work(rows: object, durability: str = durability) -> None:
            shown[durability] = rows._execute("SHOW synchronous_commit", [])[1][0][0]  # type: ignore[attr-defined]  # a look inside

        ledger._store.run(work, durability)  # type: ignore[arg-type]  # a word is enough
    assert shown == {"synced": "on", "quick": "off"}
