"""The user's repository: git as primitives, and the folders that oya makes beside it.

`port.Repository` is what the swarm stands on (read a ref, compare-and-swap it, merge
two commits without a checkout); `git.GitRepository` is it, over git's plumbing.
`workspace.GitWorkspaces` are the folders in which agents work, `slot.Slots` those in
which oya runs gates. `follow.follow` is the only thing that ever moves a checkout
of the user's.
"""
