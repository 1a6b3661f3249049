"""Telling a person: terminal and Telegram."""
