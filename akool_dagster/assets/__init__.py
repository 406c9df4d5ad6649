"""Dagster assets: thin shells that unwrap the context, call the batch, and report per row.

A module that declares an asset or a check is loaded by every process of Dagster, so it imports
what declares it and no more; what does the work is imported by the function that is run.
"""
