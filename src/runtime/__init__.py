"""Composition root: settings, clocks, inbox, supervisor, staged start and stop."""
