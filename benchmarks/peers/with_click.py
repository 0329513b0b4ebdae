"""The smallest program with click."""

import click


@click.command()
def hello() -> None:
    """Say hello."""
    click.echo("hello")


hello()
