"""Make track shards: synthetic heads, videos and stills; look into shards."""
