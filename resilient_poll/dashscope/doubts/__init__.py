"""What becomes of a create whose answer was lost: found in the service's list, or left to a human."""
