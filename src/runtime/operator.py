"""Who is at the keyboard: what is stored with every command and shown with the state."""

from __future__ import annotations

import getpass
import socket


def operator() -> str:
    """``user@host`` of whoever started this program."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
