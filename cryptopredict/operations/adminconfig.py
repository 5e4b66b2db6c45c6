"""Puts this site's admin in the place of Django's; in a module of its own, for it is loaded before any model."""

from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    default_site = "cryptopredict.operations.adminsite.Site"
