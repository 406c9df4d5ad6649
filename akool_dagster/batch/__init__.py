"""What each step does to many script rows; knows nothing of Dagster."""
