"""The wire: what is sent, what answers mean, and the words of both dialects. No network here."""
