"""`python -m tulle` is the `tulle` command."""

from tulle.proxy.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
