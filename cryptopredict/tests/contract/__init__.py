"""schemathesis over every operation of the API, against a real server on PostgreSQL and Redis."""
