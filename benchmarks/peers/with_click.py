"""What the smallest program costs whose command line is click's."""

import click


@click.command()
def hello() -> None:
    """Say hello."""
    click.echo("hello")


hello()
