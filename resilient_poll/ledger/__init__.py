"""The durable record of intents, task ids, phases and bills.

What it promises: one transition of a row is the only licence to send, and is used once; what the
world said is always recorded; a dead sender leaves a doubt and never a second sending. The logic
is written once (:mod:`.logic`) over a small store of rows, so that memory, SQLite and PostgreSQL
differ only in storage, and in how they know that an owner is dead.
"""
