//! Notices when the configuration's file was written, replaced or removed.
//!
//! Its folder is watched, and not the file, which most editors replace by another one. A link is not followed. Without
//! inotify nothing is noticed, and the file is read when somebody asks for that.

use crate::rt;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use soundpost_core::config::TIMING;
use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// See the module.
#[derive(Debug)]
pub(super) struct Lookout {
    folder: Option<AsyncFd<OwnedFd>>,
    file: OsString,
}

impl Lookout {
    /// On this file.
    pub(super) fn on(path: &Path) -> Self {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = watch(folder)
            .inspect_err(|error| tracing::debug!("changes of {} are not noticed: {error}", path.display()))
            .ok();
        Self { folder, file: path.file_name().unwrap_or_default().to_owned() }
    }

    /// Waits until the file has changed, and then was left alone for a moment.
    pub(super) async fn changed(&mut self) {
        self.touched().await;
        let quiet = Duration::from_micros(TIMING.file_settles.as_micros());
        while tokio::time::timeout(quiet, self.touched()).await.is_ok() {}
    }

    async fn touched(&mut self) {
        loop {
            let Some(folder) = &self.folder else { return std::future::pending().await };
            let told =
                async { folder.readable().await?.try_io(|fd| read(fd.get_ref(), &self.file)).unwrap_or(Ok(false)) };
            match told.await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!("changes of the configuration's file are not noticed any more: {error}");
                    self.folder = None;
                }
            }
        }
    }
}

fn watch(folder: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let what = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM | WatchFlags::DELETE;
    inotify::add_watch(&fd, folder, what | WatchFlags::ONLYDIR)?;
    rt::readable(fd)
}

/// Reads what is there; whether any of it is about this file.
fn read(fd: &OwnedFd, file: &OsString) -> io::Result<bool> {
    let mut room = [MaybeUninit::uninit(); 4096];
    let mut news = Reader::new(fd, &mut room);
    let mut found = None;
    loop {
        match news.next() {
            Ok(event) if event.events().contains(ReadFlags::IGNORED) => {
                return Err(io::Error::other("its folder is gone"));
            }
            // What was missed may have been about it.
            Ok(event) => {
                let is_it = event.file_name().is_some_and(|name| name.to_bytes() == file.as_bytes());
                found = Some(found == Some(true) || is_it || event.events().contains(ReadFlags::QUEUE_OVERFLOW));
            }
            Err(Errno::WOULDBLOCK) => return found.ok_or_else(|| io::ErrorKind::WouldBlock.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_is_written_replaced_or_removed_is_noticed_and_others_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut lookout = Lookout::on(&path);
            let steps: [&dyn Fn() -> io::Result<()>; 3] =
                [&|| fs::write(&path, "1"), &|| fs::rename(&other, &path), &|| fs::remove_file(&path)];
            for step in steps {
                fs::write(&other, "2").expect("written");
                assert!(tokio::time::timeout(Duration::from_millis(1), lookout.touched()).await.is_err());
                step().expect("done");
                tokio::time::timeout(Duration::from_secs(20), lookout.changed()).await.expect("noticed");
            }
        });
        runtime.block_on(async {
            let mut blind = Lookout::on(&folder.path().join("no/a.toml"));
            assert!(tokio::time::timeout(Duration::from_millis(1), blind.changed()).await.is_err());
        });
    }
}
