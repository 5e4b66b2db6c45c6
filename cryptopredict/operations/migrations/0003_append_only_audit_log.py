"""Lets the database itself refuse to change or delete an entry of the audit log."""

from django.db import migrations

TABLE = "operations_auditentry"
MESSAGE = "The audit log is append-only."

# An integrity violation, so that Django raises IntegrityError with either database. TRUNCATE fires no row trigger:
# it needs rights that the site's own role should not have in production.
POSTGRESQL = (
    f"""
    CREATE FUNCTION refuse_to_change_the_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
    f"""
    CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE ON {TABLE}
    FOR EACH ROW EXECUTE FUNCTION refuse_to_change_the_audit_log()
    """,
)
POSTGRESQL_BACK = (
    f"DROP TRIGGER audit_log_is_append_only ON {TABLE}",
    "DROP FUNCTION refuse_to_change_the_audit_log()",
)
SQLITE = tuple(
    f"""
    CREATE TRIGGER audit_log_refuses_{verb.lower()} BEFORE {verb} ON {TABLE}
    BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END
    """
    for verb in ("UPDATE", "DELETE")
)
SQLITE_BACK = tuple(f"DROP TRIGGER audit_log_refuses_{verb}" for verb in ("update", "delete"))


def run(statements):
    def forwards(apps, schema_editor):
        for statement in statements[schema_editor.connection.vendor]:
            schema_editor.execute(statement)

    return forwards


class Migration(migrations.Migration):
    dependencies = [("operations", "0002_production")]

    operations = [
        migrations.RunPython(
            run({"postgresql": POSTGRESQL, "sqlite": SQLITE}),
            run({"postgresql": POSTGRESQL_BACK, "sqlite": SQLITE_BACK}),
        )
    ]
