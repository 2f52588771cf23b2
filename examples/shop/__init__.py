"""The demo shop: real tables that the demo sagas change and put right again."""
