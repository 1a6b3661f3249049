"""Kalshi adapters: signing, REST, WebSocket, wire parsing, rate budget."""
