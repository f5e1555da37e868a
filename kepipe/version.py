"""The version, in a module of its own: what needs it need not import what stands on it."""

__version__ = "0.1.0"
