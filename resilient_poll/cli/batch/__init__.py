"""``resilient-poll batch``: many jobs from a file, which a second run finishes without paying twice."""
