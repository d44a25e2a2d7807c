"""Who works: backends behind one port, what they are told, and what they must answer."""
