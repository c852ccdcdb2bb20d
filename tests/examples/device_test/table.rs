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
        Self::new(what, with_unit(found, 1, unit), format!("≤ {}", with_unit(limit, 1, unit)), found <= limit)
    }

    const fn verdict(&self) -> &'static str {
        if self.passed { "PASS" } else { "FAIL" }
    }

    /// A figure that may not be below a limit.
    pub(crate) fn at_least(what: &str, found: f64, limit: f64, unit: &str) -> Self {
        Self::new(what, with_unit(found, 2, unit), format!("≥ {}", with_unit(limit, 2, unit)), found >= limit)
    }
}

fn with_unit(value: f64, digits: usize, unit: &str) -> String {
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

/// All of it.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<(&'static str, Row)>,
}

impl Table {
    /// Adds what a test found, and prints it.
    pub(crate) fn add(&mut self, test: &'static str, outcome: Outcome, took: Duration) {
        let rows = outcome.unwrap_or_else(|error| {
            println!("{test:<8} {error}");
            vec![Row::new("the test itself", "could not be made", "–", false)]
        });
        let verdict = if rows.iter().all(|row| row.passed) { "passed" } else { "FAILED" };
        println!("{test:<8} {verdict} in {:.1} s", took.as_secs_f64());
        for row in &rows {
            println!("           {}  {}: {} (limit: {})", row.verdict(), row.what, row.figure, row.limit);
        }
        self.rows.extend(rows.into_iter().map(|row| (test, row)));
    }

    /// Whether every figure keeps its limit.
    pub(crate) fn is_passed(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|(_, row)| row.passed)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| test | what | figure | limit | |\n|---|---|---|---|---|")?;
        for (test, row) in &self.rows {
            let Row { what, figure, limit, .. } = row;
            writeln!(f, "| {test} | {what} | {figure} | {limit} | {} |", row.verdict())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_looked_at_has_not_passed() {
        assert!(!Table::default().is_passed(), "nothing was looked at");
        let mut table = Table::default();
        table.add("a", Ok(vec![Row::at_most("x", 1.0, 1.0, "ms")]), Duration::ZERO);
        assert!(table.is_passed());
        table.add("b", Err("no".into()), Duration::ZERO);
        assert!(!table.is_passed());
        for row in
            [Row::at_most("x", f64::NAN, 1.0, ""), Row::at_least("x", f64::NAN, 1.0, ""), Row::exactly("x", 1, 2)]
        {
            assert!(!row.passed);
        }
    }
}
