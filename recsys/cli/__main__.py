"""`python -m recsys.cli` is `barista`."""

from recsys.cli.app import main

if __name__ == "__main__":
    main()
