"""Events between services: taken in, stored, and brought to the runs they are of."""
