"""The commands: each is a module with a one-line docstring and `run(arguments) -> str`."""
