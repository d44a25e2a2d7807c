"""The demo: a sample repository, its backlog, and the story of the agents that work on it."""
