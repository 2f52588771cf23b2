#!/usr/bin/env python
"""Run a management command from a checkout."""

from __future__ import annotations

from sagaweb.__main__ import main

if __name__ == "__main__":
    main()
