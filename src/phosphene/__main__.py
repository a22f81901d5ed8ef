"""`python -m phosphene` is the `phosphene` command."""

from phosphene.cli.main import main

main()
