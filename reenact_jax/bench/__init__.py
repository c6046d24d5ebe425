"""Speed and memory, beside the limits of the machine: its arithmetic, its JPEG decoding."""
