"""One file a table of a paper; a preset is a row of it."""
