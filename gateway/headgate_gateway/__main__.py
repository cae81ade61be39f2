"""``python -m headgate_gateway``: the same as ``headgate``."""

from headgate_gateway.cli import main

if __name__ == "__main__":
    main()
