"""How what was made comes to disk, whole or not at all."""
