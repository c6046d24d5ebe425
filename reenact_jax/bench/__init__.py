"""Speed, beside the limits of the machine: arithmetic it can do, JPEGs it can decode."""
