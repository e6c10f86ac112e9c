"""What is still to be done about what was submitted: resume, reconcile, work."""
