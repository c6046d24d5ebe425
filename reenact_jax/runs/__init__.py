"""A run of training: jobs.py says of what, feed.py brings the data, loop.py is the loop."""
