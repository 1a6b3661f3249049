"""Command line of the Kalshi Automated Trading System: ``python main.py --help``."""

from src.runtime.cli import main

if __name__ == "__main__":
    main()
