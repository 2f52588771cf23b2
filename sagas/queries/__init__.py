"""Reads. Each function says how many queries it makes, and a test holds it to that."""
