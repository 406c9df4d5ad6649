"""How the files of a manifest end; every floor goes by these."""

MANIFEST_SUFFIXES = (".csv", ".parquet")
"""A manifest."""

TEXTS_SUFFIXES = tuple(f".texts{suffix}" for suffix in MANIFEST_SUFFIXES)
"""The texts in other languages that may lie beside a manifest."""
