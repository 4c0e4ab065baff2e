"""The portfolio service: executions into Postgres exactly once, copies for readers in the cache."""
