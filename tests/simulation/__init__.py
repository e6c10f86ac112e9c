"""Whole worlds in virtual time: many clients, one ledger, one fake, and everything that can go wrong between them."""
