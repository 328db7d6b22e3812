"""Background tasks of billing, and how they are queued; see events/jobs.py for what a job is."""
