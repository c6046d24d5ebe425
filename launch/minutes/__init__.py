"""The parts of the first minutes on a chip; each is a process of its own."""
