"""When to look after the jobs that AKOOL has accepted, and what a look finds."""
