"""What every room may use: errors, settings, command lines, files."""
