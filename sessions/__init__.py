"""The sessions of noxfile.py that do not run by default, and what all sessions share."""
