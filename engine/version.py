"""The engine's version. It is part of the identity of every stored result."""

VERSION = "0.1.0"
