"""`python -m sightsound` is the command line."""

from sightsound.cli import main

if __name__ == "__main__":
    main()
