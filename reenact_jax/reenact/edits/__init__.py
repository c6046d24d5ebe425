"""Named changes of a face: its landmarks, its action units, its pose."""
