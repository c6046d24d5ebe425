"""Fault drills: each breaks a real run in one way and counts the outcomes."""
