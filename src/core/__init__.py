"""Domain types, events, order book, price grid, fees and ports. Pure: no clock, randomness or I/O."""
