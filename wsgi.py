"""The entry point of a WSGI server and of the `flask` command."""

from marketplace.app import create_app

app = create_app()
