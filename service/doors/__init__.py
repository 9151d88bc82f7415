"""Other ways in: the protocols of clients that teams have already. What comes through one is a run like any."""
