"""Commands for runs on clusters, and the checks and drills that precede them."""
