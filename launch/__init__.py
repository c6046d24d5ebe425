"""Start things: the quickstart, the tests, the check of what a slice of TPUs would need."""
