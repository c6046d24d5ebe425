"""A run of training: config.py says what, jobs.py builds it, loop.py is the loop."""
