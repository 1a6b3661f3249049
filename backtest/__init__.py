"""Backtesting."""
