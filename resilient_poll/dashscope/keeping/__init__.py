"""What the client keeps in a ledger: licences to send, ids, ends, bills. Everything here blocks."""
