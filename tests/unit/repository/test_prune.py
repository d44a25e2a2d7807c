from __future__ import annotations

from oya.repository.git import GitRepository
from oya.repository.prune import prunable, prune
from oya.repository.workspace import GitWorkspaces
from repository_kit import write


async def test_only_the_bases_of_ended_attempts_go(repo: GitRepository) -> None:
    spaces = GitWorkspaces(repo, repo.place)
    start = await repo.resolve("main")
    assert start
    alive = await spaces.create("b-1", 1, start=start)
    write(alive.path, {"n": "1"})
    head = await spaces.commit(alive, "m")
    dead = spaces.base_ref("b-1", 0)
    await repo.cas_ref(dead, start, None)
    live = {spaces.base_ref("b-1", 1)}
    assert await prunable(repo, live) == {dead: start}
    assert await prune(repo, live) == (dead,)
    assert await prune(repo, live) == ()
    assert await repo.list_refs("refs/oya") == {
        spaces.attempt_ref("b-1", 1): head.commit,
        spaces.base_ref("b-1", 1): start,
    }
