"""Fault drills: each breaks a real run in one way and counts what becomes of it."""
