//! Two clocks that a machine may have against us: a wall clock that jumps, for a program and its children alone; and the
//! time for which a process could have run and had no processor, which is the machine's and not the program's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOURCE: &str = include_str!("wallclock.c");

/// Builds, in `folder`, what a program finds when `LD_PRELOAD` names it: a wall clock that jumps by years every second.
///
/// # Panics
///
/// When it cannot be built: that needs `cc`.
pub fn jumping_wall_clock(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("wallclock.c"), folder.join("libwallclock.so"));
    std::fs::write(&source, SOURCE).expect("a writable folder");
    let mut cc = Command::new("cc");
    let built = cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).output();
    let built = built.expect("cc (Debian package gcc)");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}

/// How long the threads of a process have waited for a processor in their lives, together; nothing where the kernel
/// does not count, or the process is gone.
pub fn waited(process: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    threads.map(|thread| waited_in(&thread.path().join("schedstat"))).sum()
}

/// The same of the calling thread.
pub fn waited_here() -> Duration {
    waited_in(Path::new("/proc/thread-self/schedstat"))
}

fn waited_in(path: &Path) -> Duration {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().nth(1).and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_jumps_and_other_clocks_do_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let library = jumping_wall_clock(dir.path());
        let year = |preload: &Path| {
            let said = Command::new("date").arg("+%Y").env("LD_PRELOAD", preload).output().expect("date");
            String::from_utf8_lossy(&said.stdout).trim().parse::<u32>().expect("a year")
        };
        let today = year(Path::new(""));
        assert!(crate::until(Duration::from_secs(10), || year(&library) != today));
    }
}
