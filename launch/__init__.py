"""Commands for runs on clusters, and checks and drills to be made before them."""
