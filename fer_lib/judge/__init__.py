"""Claims against evidence: verdicts, convergence, arithmetic on printed numbers."""
