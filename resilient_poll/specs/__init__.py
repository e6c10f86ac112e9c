"""Other people's long-running operations, declared instead of programmed. No network here."""
