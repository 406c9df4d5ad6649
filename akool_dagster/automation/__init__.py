"""Jobs, schedules and sensors: thin shells over planning functions.

As with the assets, a module that declares one imports its work where it is done.
"""
