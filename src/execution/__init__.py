"""Engine, orders, portfolio, risk, sizing, reconciliation (pure) and the async executor."""
