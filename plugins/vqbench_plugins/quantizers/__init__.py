"""Quantizers. Importing this package imports no torch: the classes are the lazy targets of its descriptors."""
