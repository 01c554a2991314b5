"""``python -m shardproxy``: the same as the console script."""

from shardproxy.cli.main import main

if __name__ == "__main__":
    main()
