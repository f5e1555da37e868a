"""`python -m kepipe`."""

from kepipe.cli import main

main()
