"""The simulated Kalshi exchange: matching core, wire server, and the worlds that drive it."""
