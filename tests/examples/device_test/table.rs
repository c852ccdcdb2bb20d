//! Figures beside their limits.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// One figure, and whether it keeps its limit.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    figure: String,
    limit: String,
    passed: bool,
}

/// What a test found; an error if it could not look.
pub(crate) type Outcome = Result<Vec<Row>, Box<dyn Error>>;

impl Row {
    /// A figure of any kind.
    pub(crate) fn new(what: &str, figure: impl fmt::Display, limit: impl fmt::Display, passed: bool) -> Self {
        Self { what: what.to_owned(), figure: figure.to_string(), limit: limit.to_string(), passed }
    }

    /// A count that has to be this.
    pub(crate) fn exactly(what: &str, found: u64, wanted: u64) -> Self {
        Self::new(what, found, wanted, found == wanted)
    }

    /// A figure that may not be above a limit.
    pub(crate) fn at_most(what: &str, found: f64, limit: f64, unit: &str) -> Self {
        Self::new(what, format!("{found:.1} {unit}"), format!("≤ {limit} {unit}"), found <= limit)
    }

    /// A figure that may not be below a limit.
    pub(crate) fn at_least(what: &str, found: f64, limit: f64, unit: &str) -> Self {
        Self::new(what, format!("{found:.2} {unit}"), format!("≥ {limit} {unit}"), found >= limit)
    }
}

/// All of it.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<(&'static str, Row)>,
}

impl Table {
    /// Adds what a test found, and prints it; says whether it passed.
    pub(crate) fn add(&mut self, test: &'static str, outcome: Outcome, took: Duration) -> bool {
        let rows = outcome.unwrap_or_else(|error| {
            println!("    {error}");
            vec![Row::new("the test itself", "could not be made", "–", false)]
        });
        let passed = rows.iter().all(|row| row.passed);
        let verdict = if passed { "passed" } else { "FAILED" };
        println!("==> {test}: {verdict} in {:.1} s\n", took.as_secs_f64());
        self.rows.extend(rows.into_iter().map(|row| (test, row)));
        passed
    }

    /// Whether every figure keeps its limit.
    pub(crate) fn is_passed(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|(_, row)| row.passed)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| test | what | figure | limit | |\n|---|---|---|---|---|")?;
        for (test, Row { what, figure, limit, passed }) in &self.rows {
            writeln!(f, "| {test} | {what} | {figure} | {limit} | {} |", if *passed { "PASS" } else { "FAIL" })?;
        }
        Ok(())
    }
}
