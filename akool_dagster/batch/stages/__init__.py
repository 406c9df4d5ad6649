"""What happens to one row or one avatar in each asset, and how its file gets onto our storage."""
