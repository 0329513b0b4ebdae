"""What the smallest program costs whose command line is typer's."""

import typer


def hello() -> None:
    """Say hello."""
    typer.echo("hello")


typer.run(hello)
