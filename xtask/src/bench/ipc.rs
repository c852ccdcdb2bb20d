//! Many listeners on one socket: what they cost, and that a stalled one costs the others nothing.
//!
//! The daemon is the one that is shipped. The program that measures is an example of `soundpost-client`, so that this one
//! stays free of dependencies.

use crate::steps::{self, cargo, succeed};
use std::path::PathBuf;

pub(super) fn run(_named: &[PathBuf], _yes: bool) -> Result<(), String> {
    succeed(cargo(["build", "--release", "-p", "soundpost-linux"]))?;
    let daemon = steps::target_dir()?.join("release/soundpost");
    let mut bench = cargo(["run", "--quiet", "-p", "soundpost-client", "--example", "ipc_bench", "--", "--daemon"]);
    bench.arg(daemon);
    succeed(bench)
}
