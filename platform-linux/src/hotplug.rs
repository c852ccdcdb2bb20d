//! News of sound cards that come and go, from the kernel: files appear in `/dev/snd`, and get their rights a moment
//! later. Where there is no such folder yet, its own appearance is the news.

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Something to wait for. On a system that has no such news it never comes.
#[derive(Debug)]
pub struct Watch(Option<OwnedFd>);

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

impl Watch {
    /// From now on.
    #[must_use]
    pub fn new() -> Self {
        Self::of("/dev", "/dev/snd")
    }

    fn of(parent: &str, folder: &str) -> Self {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).and_then(|fd| {
            // The folder may come between these two lines: then the first one tells.
            inotify::add_watch(&fd, parent, WatchFlags::CREATE | WatchFlags::ONLYDIR)?;
            let _ = inotify::add_watch(&fd, folder, WatchFlags::CREATE | WatchFlags::ATTRIB | WatchFlags::ONLYDIR);
            Ok(fd)
        });
        Self(watch.inspect_err(|error| tracing::debug!("no news of sound cards: {error}")).ok())
    }

    /// Readable when there is news.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// Takes note of the news: what comes from now on is news again. What it was does not matter; whoever waits for a
    /// device tries to open it.
    pub fn clear(&self) {
        let Some(fd) = &self.0 else { return };
        let mut room = [0_u8; 4096];
        while rustix::io::read(fd, &mut room).is_ok_and(|read| read > 0) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn has_news(watch: &Watch) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(watch.descriptor().unwrap(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
    }

    #[test]
    fn a_new_file_or_right_is_news_once() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("snd");
        let (parent, folder) = (parent.path().to_str().unwrap(), folder.to_str().unwrap());
        let watch = Watch::of(parent, folder);
        assert!(!has_news(&watch));
        std::fs::create_dir(folder).unwrap();
        assert!(has_news(&watch), "the folder itself");
        let watch = Watch::of(parent, folder);
        let file = std::fs::File::create(format!("{folder}/pcmC0D0c")).unwrap();
        assert!(has_news(&watch));
        watch.clear();
        assert!(!has_news(&watch));
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o660)).unwrap();
        assert!(has_news(&watch));
    }

    #[test]
    fn without_any_such_folder_there_is_no_news_and_no_panic() {
        let watch = Watch::of("/nonexistent", "/nonexistent/snd");
        assert!(watch.descriptor().is_none());
        watch.clear();
    }
}
