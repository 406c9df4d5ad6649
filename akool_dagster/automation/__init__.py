"""Jobs, schedules and sensors: thin shells over planning functions."""
