"""A fake DashScope."""
