"""Strategies: events in, signals out. Pure."""
