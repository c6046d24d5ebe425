"""Commands for runs on clusters, and the drills that precede them."""
