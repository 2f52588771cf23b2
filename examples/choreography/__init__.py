"""The shop with nobody in charge."""
