"""Network building blocks shared by the systems; each module names the paper it serves."""
