"""The command line. `phosphene.cli.main:main` is its door."""
