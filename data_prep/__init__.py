"""Make track shards: synthetic heads, videos, stills, labelled stills; look into shards."""
