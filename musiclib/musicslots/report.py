"""What the ledger says beside what the paper says: tables, verdicts on the paper's claims, the README's picture.

Notebooks: 03 note discovery, 04 note properties, 14 reproduction.
"""
