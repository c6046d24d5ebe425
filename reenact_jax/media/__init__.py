"""Pictures, videos and sound, read and written, and the marks that say they are synthetic."""
