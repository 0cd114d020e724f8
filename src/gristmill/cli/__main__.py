"""``python -m gristmill.cli``: the command, where no script is on the path."""

from gristmill.cli.main import main

if __name__ == "__main__":
    main()
