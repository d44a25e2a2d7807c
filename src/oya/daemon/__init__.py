"""The process that runs a swarm, and the API on its socket.

- `desk`: everything that can be asked or told, with a swarm running or without.
- `api`: the desk over HTTP on a Unix socket. `client`: the other end, standard library only.
- `process`: `python -m oya.daemon`. `launch`: how a command starts it.
- `request`: what a command asks the daemon to run. `choose`: which swarm that is.
"""
