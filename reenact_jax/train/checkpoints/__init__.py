"""Checkpoints: where they lie, what they hold, whether they are whole."""
