"""Making of shard sets from videos, stills, tables and synthetic heads; a look into them."""
