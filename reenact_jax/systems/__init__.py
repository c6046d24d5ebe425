"""One file a paper, every file in the same order; a system is such a module of pure functions."""
