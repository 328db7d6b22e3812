"""The REST API of metering: sign-in, meters, customers, usage, invoices. `urls.py` puts the parts together."""
