"""Face tracks: the record, shards of them on disk, batches of them in training."""
