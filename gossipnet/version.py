"""Which gossipnet this is, as the installed package says. Imports nothing of the package."""


def version() -> str:
    """Such as ``0.1.0``; ``0+source`` for a source tree that was never installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("gossipnet")
    except PackageNotFoundError:
        return "0+source"
