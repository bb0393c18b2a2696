"""At the end of a run of the gates: what was measured, one line a network."""

COLUMNS = {
    "steps": "steps",
    "dice": "Dice float32",
    "dice_bfloat16": "Dice bfloat16",
    "compile_seconds": "compile [s]",
    "difference": "compiled - eager",
    "step_seconds": "training step, compile [s]",
}


def pytest_terminal_summary(terminalreporter):
    rows = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            measured = dict(getattr(report, "user_properties", []))
            if "network" in measured:
                rows.setdefault(measured["network"], {}).update(measured)
    if rows:
        terminalreporter.section("networks")
        terminalreporter.line(" | ".join(["network", *COLUMNS.values()]))
    for name, measured in rows.items():
        cells = [str(measured.get(column, "")) for column in COLUMNS]
        terminalreporter.line(" | ".join([name, *cells]))
