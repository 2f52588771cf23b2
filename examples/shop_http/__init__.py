"""The demo shop as three services of their own, called over HTTP."""
