"""``resilient-poll``: the client as a command line. Needs the extra ``cli``."""
