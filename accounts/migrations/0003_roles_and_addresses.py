"""The three roles of staff, and an address record for every account that was made before there were any."""

from django.db import migrations

ROLES = ("support", "operator", "administrator")


def create_roles(apps, schema_editor):
    """Their permissions follow after each migration, when those exist: see cryptopredict/operations/roles.py."""
    for name in ROLES:
        apps.get_model("auth", "Group").objects.get_or_create(name=name)


def record_addresses(apps, schema_editor):
    """Staff were made by whoever runs the site, so their addresses count as confirmed; all others wait for a mail."""
    address = apps.get_model("account", "EmailAddress")
    known = address.objects.values("user_id")
    users = apps.get_model("accounts", "User").objects.exclude(pk__in=known)
    rows = (
        address(user_id=pk, email=email, verified=is_staff, primary=True)
        for pk, email, is_staff in users.values_list("pk", "email", "is_staff").iterator()
    )
    address.objects.bulk_create(rows, batch_size=1000)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_api_tokens"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.RunPython(create_roles, migrations.RunPython.noop),
        migrations.RunPython(record_addresses, migrations.RunPython.noop),
    ]
