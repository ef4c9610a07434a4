"""People, posts, terminals, permits, loans and systems with their dates: how they come in, change and are served."""
