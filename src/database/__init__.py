"""Postgres: models, store (write-ahead intents, journal), embedded server."""
