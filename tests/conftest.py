"""Which tests share a worker process, and which of them begin."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one worker, for its fixtures; files with slow tests come first.

    Tests of several files that share a fixture are marked with ``xdist_group`` and its name.
    """
    groups = {item: _group(item) for item in items}
    for item, name in groups.items():
        item.add_marker(pytest.mark.xdist_group(name))
    slow = {name for item, name in groups.items() if item.get_closest_marker("slow")}
    items.sort(key=lambda item: groups[item] not in slow)


def _group(item: pytest.Item) -> str:
    given = item.get_closest_marker("xdist_group")
    return str(given.args[0]) if given else item.location[0]
