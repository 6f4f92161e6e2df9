"""Long work in processes of its own: a queue that outlives page loads and server restarts."""
