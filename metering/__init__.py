"""Metered usage: what customers use, what it is worth, and the invoices it becomes."""
