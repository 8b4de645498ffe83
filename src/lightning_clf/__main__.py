"""`python -m lightning_clf` is the command."""

import sys

from lightning_clf.cli import main

sys.exit(main())
