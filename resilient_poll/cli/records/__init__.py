"""What the ledger has: list, show, bill, archive."""
