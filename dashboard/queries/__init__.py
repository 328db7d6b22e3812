"""Analytic reads: one SQL statement a function, frozen rows out.

Raw SQL, because the reads are over partitioned tables and views that have no model, with keyset ranges of uuidv7 and
prorated revenue that the ORM cannot say. Money leaves as an integer of 1e-12 USD.
"""
