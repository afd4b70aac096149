"""The version of the installed distribution."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("weightspace")
except PackageNotFoundError:  # a checkout on sys.path, not installed
    __version__ = "0+uninstalled"
