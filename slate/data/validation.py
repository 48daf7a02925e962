"""Validation: types, then the registered checks; findings, the rows that are valid, or a refusal."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandera.errors
import pandera.ibis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.clock import Clock, SystemClock, isoformat
from slate.config import DatasetConfig, Table
from slate.data import convert, engine
from slate.data.checks import (
    FACT_CHECKS,
    ROW,
    ROW_CHECKS,
    TABLE_CHECKS,
    FactCheck,
    Facts,
    RowCheck,
    TableCheck,
)
from slate.data.findings import Finding, Name, Severity, resolve
from slate.data.ingest import Prepared, Rows, write
from slate.data.validation_report import render
from slate.errors import DataError

SCHEMA: Final = "schema"
_SAMPLES: Final = 5
_SHOWN_ERRORS: Final = 5
_FILES: Final[Mapping[Name, str]] = {
    "interactions": columns.INTERACTIONS_FILE,
    "items": columns.ITEMS_FILE,
    "users": columns.USERS_FILE,
}


@dataclass(frozen=True)
class Validation:
    """The outcome: the data as it would go on, where its rows went, and all findings."""

    prepared: Prepared
    rows: Mapping[Name, Rows]
    findings: tuple[Finding, ...]
    checked: tuple[str, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity == "error")


def validate(
    config: DatasetConfig, dataset: Path, out: Path, report: Path, clock: Clock | None = None
) -> dict[str, Any]:
    """Check a prepared data set and write the valid rows, ``findings.json`` and an HTML report.

    Args:
        dataset: the folder that ingest wrote.
        out: gets the valid rows; on an error only ``findings.json``.
        report: the HTML file.
        clock: what counts as the future.

    Returns:
        the new ``dataset.json``.

    Raises:
        DataError: a check of severity ``error`` found something, after findings and report are written.
        ConfigError: ``dataset.validation`` names an unknown check, or switches off a required one.
    """
    record = json.loads((dataset / columns.DATASET_FILE).read_text(encoding="utf-8"))
    tables = {name: pq.read_table(dataset / file) for name, file in _FILES.items()}
    now = (clock or SystemClock()).now()
    result = examine(tables, Facts(config, now, record))
    out.mkdir(parents=True, exist_ok=True)
    _write_findings(result, now, out / columns.FINDINGS_FILE)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(render(record, result, isoformat(now)), encoding="utf-8")
    if result.errors:
        shown = "; ".join(str(finding) for finding in result.errors[:_SHOWN_ERRORS])
        raise DataError(
            f"dataset {config.name}: {len(result.errors)} of {len(result.checked)} checks failed: {shown}. "
            f"Samples are in {report}; to go on without these rows set dataset.validation.<check>=warning"
        )
    rows = result.rows["interactions"]
    dropped = {**record["rows"]["dropped"], **rows.dropped}
    return write(
        result.prepared,
        config.name,
        Rows(record["rows"]["read"], rows.kept, dropped),
        {name: record[name] for name in ("unreadable", "unlisted", "zones", "files") if name in record},
        out,
    )


def examine(tables: Mapping[Name, pa.Table], facts: Facts) -> Validation:
    """Run every check on prepared tables, without writing anything.

    Raises:
        ConfigError: ``dataset.validation`` names an unknown check, or switches off a required one.
    """
    severities = resolve(
        facts.config.validation, (*ROW_CHECKS, *FACT_CHECKS, *TABLE_CHECKS), "dataset.validation"
    )
    findings = _schema_findings(tables, facts.config)
    if findings:
        untouched = {name: Rows(len(table), len(table), {}) for name, table in tables.items()}
        return Validation(_prepared(tables), untouched, findings, (SCHEMA,))
    connection = engine.connect()
    left: dict[Name, pa.Table] = {}
    rows: dict[Name, Rows] = {}
    for name, table in tables.items():
        wanted = [c for c in ROW_CHECKS if c.table == name and severities[c.name] != "off"]
        left[name], rows[name], found = _examine_rows(connection, table, wanted, severities, facts)
        findings += found
    interactions = left["interactions"]
    counts = interactions[columns.EVENT].value_counts().to_pylist()
    facts = facts._replace(
        rows=len(interactions),
        users=pc.count_distinct(interactions[columns.USER]).as_py(),
        items=pc.count_distinct(interactions[columns.ITEM]).as_py(),
        events={c["values"]: c["counts"] for c in counts},
    )
    findings += _examine_tables(connection, left, severities, facts)
    for check in FACT_CHECKS:
        severity = severities[check.name]
        if severity != "off" and (count := check.count(facts)):
            samples = tuple(check.samples(facts)[:_SAMPLES])
            findings += (_finding(check, severity, count, "none", samples),)
    checked = (SCHEMA, *(name for name, severity in severities.items() if severity != "off"))
    return Validation(_prepared(left), rows, findings, checked)


def _prepared(tables: Mapping[Name, pa.Table]) -> Prepared:
    return Prepared(tables["interactions"], tables["items"], tables["users"])


def _examine_rows(
    connection: Any,
    table: pa.Table,
    checks: list[RowCheck],
    severities: Mapping[str, Literal["error", "warning", "off"]],
    facts: Facts,
) -> tuple[pa.Table, Rows, tuple[Finding, ...]]:
    """Run the checks of one table in turn, each on the rows that the earlier ones left."""
    findings: list[Finding] = []
    dropped: dict[str, int] = {}
    left = table
    for check in checks:
        numbered = left.append_column(ROW, pa.array(range(len(left)), pa.int64()))
        current: ir.Table = connection.create_table(f"checked_{check.name}", numbered)
        flagged = current.filter(check.flags(current, facts).fill_null(False)).select(ROW).to_pyarrow()
        connection.drop_table(f"checked_{check.name}")
        positions = flagged[ROW].combine_chunks().sort()
        if not len(positions):
            continue
        samples = tuple(left.take(positions.slice(0, _SAMPLES)).to_pylist())
        severity = severities[check.name]
        findings.append(_finding(check, severity, len(positions), check.effect, samples))
        if check.effect == "dropped":
            dropped[check.name] = len(positions)
            left = left.filter(pc.invert(pc.is_in(numbered[ROW], positions)))
    return left, Rows(len(table), len(left), dropped), tuple(findings)


def _examine_tables(
    connection: Any,
    tables: Mapping[Name, pa.Table],
    severities: Mapping[str, Literal["error", "warning", "off"]],
    facts: Facts,
) -> tuple[Finding, ...]:
    """Run the checks that look at what the row checks left, as a whole."""
    left: dict[Name, ir.Table] = {
        name: connection.create_table(f"left_{name}", table) for name, table in tables.items()
    }
    findings: list[Finding] = []
    for check in TABLE_CHECKS:
        severity = severities[check.name]
        if severity != "off" and facts.rows:
            found = check.find(left, facts)
            if found.count:
                findings.append(
                    _finding(check, severity, found.count, "none", tuple(found.samples[:_SAMPLES]))
                )
    return tuple(findings)


def _finding(
    check: RowCheck | TableCheck | FactCheck,
    severity: str,
    count: int,
    effect: Literal["dropped", "kept", "none"],
    samples: tuple[Mapping[str, Any], ...],
) -> Finding:
    level: Severity = "error" if severity == "error" else "warning"
    return Finding(check.name, check.table, level, count, effect, check.what, check.fix, samples)


def _schema_findings(tables: Mapping[Name, pa.Table], config: DatasetConfig) -> tuple[Finding, ...]:
    """Columns that are missing or of another type than docs/artefacts.md says."""
    findings = []
    for name, table in tables.items():
        expected = _expected(name, getattr(config, name))
        # Pandera knows no list types: it tests that such a column is there, Arrow what it holds.
        schema = pandera.ibis.DataFrameSchema(
            {
                column: pandera.ibis.Column(None if kind is None or kind.is_array() else kind, nullable=True)
                for column, kind in expected.items()
            }
        )
        problems = []
        try:
            schema.validate(ibis.memtable(table), lazy=True)
        except pandera.errors.SchemaErrors as error:
            problems = [str(one) for one in error.schema_errors]
        problems += [
            f"column '{column}' holds {table.schema.field(column).type}, expected lists of text"
            for column, kind in expected.items()
            if kind is not None and kind.is_array() and column in table.column_names
            and table.schema.field(column).type != pa.list_(pa.string())
        ]  # fmt: skip
        if problems:
            findings.append(
                Finding(
                    SCHEMA, name, "error", len(problems), "none", f"{_FILES[name]}: {'; '.join(problems)}",
                    "run the ingest step again with this configuration",
                    tuple({"problem": problem} for problem in problems[:_SAMPLES]),
                )
            )  # fmt: skip
    return tuple(findings)


def _expected(name: Name, table: Table | None) -> dict[str, dt.DataType | None]:
    text, number = dt.string, dt.float64
    fixed: dict[Name, dict[str, dt.DataType | None]] = {
        "interactions": {
            columns.USER: text, columns.ITEM: text, columns.EVENT: text,
            columns.VALUE: number, columns.WEIGHT: number, columns.TIMESTAMP: convert.UTC,
        },
        "items": {columns.ITEM: text, columns.TITLE: text},
        "users": {columns.USER: text},
    }  # fmt: skip
    features = table.features if table else {}
    return {**fixed[name], **{f: convert.feature_type(d.kind) for f, d in features.items()}}


def _write_findings(result: Validation, now: Any, path: Path) -> None:
    content = {
        "checked_at": isoformat(now),
        "rows": {
            name: {"in": rows.read, "out": rows.kept, "dropped": dict(rows.dropped)}
            for name, rows in result.rows.items()
        },
        "checked": list(result.checked),
        "findings": [asdict(finding) for finding in result.findings],
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=str), encoding="utf-8")
