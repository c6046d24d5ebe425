"""Runs side by side: their logs, read; one page of curves, pictures, settings and last values."""
