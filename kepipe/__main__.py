"""`python -m kepipe`, and the command `kepipe`."""

from kepipe.stop_signals import end_at_once


def main() -> None:
    """Run the command line. A signal may come while it is imported, and after its end."""
    end_at_once()
    from kepipe.cli import main as command_line

    try:
        command_line()
    finally:
        end_at_once()


if __name__ == "__main__":
    main()
