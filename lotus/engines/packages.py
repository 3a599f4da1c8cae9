"""Packages that are not always installed."""

from importlib.util import find_spec


def need(package: str, extra: str) -> None:
    """Say how to install a package, before it is needed and missing.

    Args:
        package: Its name.
        extra: Of this project, which installs it.

    Raises:
        ValueError: It cannot be imported.
    """
    if find_spec(package) is None:
        raise ValueError(f"found no package {package}; install 'lotus-bone[{extra}]'")
