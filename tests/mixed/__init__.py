"""An app of the tests: sagas of mixed shapes, the actions they need, and a judge of what became of their runs."""
