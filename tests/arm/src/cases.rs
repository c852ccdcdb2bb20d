//! The jobs of `tests/benches/mechanisms` that need neither a peer nor a second thread, as they are.

#[path = "../../benches/mechanisms/cases/actuators.rs"]
mod actuators;
#[path = "../../benches/mechanisms/cases/case.rs"]
mod case;
#[path = "../../benches/mechanisms/cases/playout.rs"]
mod playout;

pub(crate) use case::{Case, Group};

use case::alone;

pub(crate) fn groups() -> Vec<Group> {
    [playout::GROUPS, actuators::GROUPS].concat()
}
