"""The public test kit: virtual time, a seeded loop, scripted agents, fault injection."""
