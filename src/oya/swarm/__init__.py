"""The supervision tree: universe, orchestrator, supervisor, the four roles, the lander."""
