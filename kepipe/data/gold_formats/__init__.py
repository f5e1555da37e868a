"""Texts in which people have marked what names mean, one module a format."""
