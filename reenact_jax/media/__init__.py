"""Pictures, videos and sound in and out, and the marks that say they are synthetic."""
