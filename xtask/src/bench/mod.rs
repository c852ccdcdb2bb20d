//! Figures that are measured by one command and judged: `cargo xtask bench`.

mod playout;

use crate::cli::Options;

/// Measures, prints, and says what is wrong.
type Measure = fn() -> Result<(), String>;

/// What can be measured.
const SUBJECTS: [(&str, Measure); 1] = [("playout", playout::run)];

/// Measures what was named.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let known = SUBJECTS.map(|(name, _)| name).join(", ");
    if options.rest.is_empty() {
        return Err(format!("what is to be measured is missing; it is one of {known}"));
    }
    for name in &options.rest {
        let subject = SUBJECTS.iter().find(|(subject, _)| *subject == name.to_string_lossy());
        let (_, measure) =
            subject.ok_or_else(|| format!("there is no benchmark `{}`; allowed: {known}", name.to_string_lossy()))?;
        measure()?;
    }
    Ok(())
}
