"""A licence-plate reader for patrol cars: camera in, delivered reads out."""

__version__ = "0.1.0"
