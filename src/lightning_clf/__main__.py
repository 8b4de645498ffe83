"""`python -m lightning_clf` is the command."""

import sys

from lightning_clf.cli import main

if __name__ == "__main__":  # a model from elsewhere may have any module of this library imported
    sys.exit(main())
