"""A Django app whose actions do nothing, so that only the engine is measured."""
