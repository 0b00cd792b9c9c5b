"""`python -m vidette`."""

from vidette.cli import main

raise SystemExit(main())
