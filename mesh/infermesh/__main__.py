"""``python -m infermesh`` is the ``infermesh`` command of the same interpreter."""

from infermesh.cli import main

if __name__ == "__main__":
    main()
