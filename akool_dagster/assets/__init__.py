"""Dagster assets: thin shells that unwrap the context, call the batch, and report per row."""
