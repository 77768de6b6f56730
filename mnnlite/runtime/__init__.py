"""Many tasks on a stream: what runs when, in which lane, and in how much memory."""
