"""Real business processes as sagas, over participants with real tables."""
