"""Whole swarms on a simulated machine: real code above, a seeded world below."""
