"""The smallest program with typer."""

import typer


def hello() -> None:
    """Say hello."""
    typer.echo("hello")


typer.run(hello)
