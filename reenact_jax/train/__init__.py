"""A training run: config.py says what is trained, jobs.py builds it, loop.py has the loop."""
