"""The ledger's guards: triggers by which the database itself refuses to rewrite what was said and what came of it.

A migration that rebuilds the table on SQLite drops its triggers: such a migration ends with `install`.
"""

from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "predictions_prediction"
FROZEN = (
    "id", "sequence", "coin_id", "model_id", "frequency", "horizon_days", "horizon_hours", "cutoff_at", "target_at",
    "issued_at", "base_price", "headline", "multiplier_80", "multiplier_95", "quantiles", "model_quantiles",
    "fhs_quantiles", "ewma_quantiles", "label", "counts_as_evidence", "is_sample", "is_shadow", "hash_version",
    "inputs_sha256", "previous_hash", "row_hash",
)  # fmt: skip
OUTCOME = (
    "state", "void_reason", "actual_price", "scored_at", "crps", "crps_model", "crps_fhs", "crps_ewma",
    "interval_score_80", "is_hit_80", "is_hit_95", "outcome_hash",
)  # fmt: skip
NO_DELETE = "A forecast of the ledger cannot be deleted."
NO_REWRITE = "A frozen forecast cannot change."
NO_RESCORE = "A settled forecast cannot be settled again."


def install(connection: BaseDatabaseWrapper) -> None:
    """Puts the guards in place; those that stand already are made anew."""
    remove(connection)
    _run(connection, _postgresql() if connection.vendor == "postgresql" else _sqlite())


def remove(connection: BaseDatabaseWrapper) -> None:
    """Takes the guards away: for going back over a migration, and for tests that tamper."""
    if connection.vendor == "postgresql":
        triggers = [f"DROP TRIGGER IF EXISTS ledger_{name} ON {TABLE}" for name in ("rows", "truncate")]
        _run(connection, [*triggers, "DROP FUNCTION IF EXISTS guard_ledger()"])
    else:
        _run(connection, [f"DROP TRIGGER IF EXISTS ledger_{name}" for name in ("delete", "frozen", "settled")])


def _run(connection: BaseDatabaseWrapper, statements: Sequence[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _sqlite() -> list[str]:
    def differs(columns: Sequence[str]) -> str:
        return " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in columns)

    def guard(name: str, event: str, when: str, message: str) -> str:
        return (
            f"CREATE TRIGGER ledger_{name} BEFORE {event} ON {TABLE} {when} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )

    return [
        guard("delete", "DELETE", "", NO_DELETE),
        guard("frozen", "UPDATE", f"WHEN {differs(FROZEN)}", NO_REWRITE),
        guard("settled", "UPDATE", f"WHEN OLD.state <> 'open' AND ({differs(OUTCOME)})", NO_RESCORE),
    ]


def _postgresql() -> list[str]:
    def row(side: str, columns: Sequence[str]) -> str:
        return f"({', '.join(f'{side}.{name}' for name in columns)})"

    def refuse(message: str) -> str:
        return f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'"

    function = f"""
        CREATE FUNCTION guard_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP <> 'UPDATE' THEN
                {refuse(NO_DELETE)};
            END IF;
            IF {row("OLD", FROZEN)} IS DISTINCT FROM {row("NEW", FROZEN)} THEN
                {refuse(NO_REWRITE)};
            END IF;
            IF OLD.state <> 'open' AND {row("OLD", OUTCOME)} IS DISTINCT FROM {row("NEW", OUTCOME)} THEN
                {refuse(NO_RESCORE)};
            END IF;
            RETURN NEW;
        END $$"""
    return [
        function,
        f"CREATE TRIGGER ledger_rows BEFORE UPDATE OR DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION guard_ledger()",
        f"CREATE TRIGGER ledger_truncate BEFORE TRUNCATE ON {TABLE} EXECUTE FUNCTION guard_ledger()",
    ]
