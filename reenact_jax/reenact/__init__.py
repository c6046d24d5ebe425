"""The way from a portrait and a driver to a video; command.py shows all of it."""
