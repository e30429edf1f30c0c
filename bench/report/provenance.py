"""Provenance of a result: hardware, versions, commit, time and command. No torch."""

from bench.records.environment import Environment, short_commit


def hardware(environment: Environment) -> str:
    """Return the processor, the number of threads, and the GPUs."""
    return ", ".join([environment.cpu, f"{environment.threads} threads", *environment.gpus])


def versions(environment: Environment) -> str:
    """Return the versions of torch and Python."""
    return f"torch {environment.torch}, Python {environment.python}"


def revision(commit: str | None, *, has_changes: bool = False, prefix: str = "") -> str:
    """Return a short commit after ``prefix``, ``0123456789 with changes``, or ``no commit``."""
    if commit is None:
        return "no commit"
    return f"{prefix}{short_commit(commit)}{' with changes' if has_changes else ''}"


def provenance(
    environment: Environment,
    command: str,
    started: str,
    own_commit: str | None = None,
    has_changes: bool = False,  # noqa: FBT001, FBT002 (whether their tree had any)
) -> str:
    """Return hardware, versions, commit, time and command, for a figure or a table.

    ``own_commit`` is the revision of a user's own arms; the other is then vitbench's.
    """
    found = environment.commit, bool(environment.dirty)
    if own_commit is None:
        commit = revision(found[0], has_changes=found[1], prefix="commit ")
    else:
        own = revision(own_commit, has_changes=has_changes)
        commit = f"arms at commit {own}, vitbench at {revision(found[0], has_changes=found[1])}"
    return f"{hardware(environment)}; {versions(environment)}; {commit}; {started}\n{command}"
