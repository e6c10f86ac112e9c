"""What hears the events of this package and tells them to something else. Nothing here is imported by the rest."""
