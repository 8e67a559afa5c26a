"""`headgate demo`: a real gateway in front of the simulated upstream, real calls, and the ledger read back."""
