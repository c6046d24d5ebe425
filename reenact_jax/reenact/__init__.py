"""A portrait and a driver to a video: command.py is the way through."""
