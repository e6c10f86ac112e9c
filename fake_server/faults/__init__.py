"""Faults as values: what happens, to which requests, and how chance is drawn. No clock and no random generator."""
