"""Entry point of the ``twofold`` command."""

from connectors.cli import main

if __name__ == "__main__":
    main()
