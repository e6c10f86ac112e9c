"""Handing every end to the application: who polls the ledger's open tasks, and calls until it is told."""
