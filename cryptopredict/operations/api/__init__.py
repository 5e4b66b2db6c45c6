"""The operations' part of /api/v1/: the sync, the jobs and the health of the site, for staff."""
