"""Start things: the quickstart, the tests."""
