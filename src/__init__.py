"""Kalshi Automated Trading System: import package (``from src.core...``)."""
