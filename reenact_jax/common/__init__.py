"""The base of every room: errors, settings, command lines, files."""
