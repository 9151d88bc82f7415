"""The scripts of follow-ups, each whole in its file: they run in jobs, and the service only reads their text."""
