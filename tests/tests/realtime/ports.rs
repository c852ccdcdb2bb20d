//! The ports of real ALSA devices, through libasound and the rate converter, in real time.
//!
//! The device is the tests' own plugin of libasound, so all that a turn passes through is counted: our port, rubato,
//! libasound's common code and its `ioplug`. Locks are counted, too, but not forbidden: libasound takes one that nobody else
//! holds in each of its calls.

use super::count::{Counts, counted};
use soundpost_core::capacity::PERIOD_VALUES_MAX;
use soundpost_core::config::{Channels, Direction};
use soundpost_core::port::{PcmError, PcmIn, PcmOut};
use soundpost_core::recovery::Step;
use soundpost_linux::pcm::{self, Options, Uri};
use soundpost_tests::rig::{Trouble, Wishes};

const PERIODS: usize = 1_000;

fn device(format: &str, rate: u32) -> (Trouble, Uri) {
    let device = Trouble::new(Wishes::default().formats(&[format]).rates(&[rate]).channels(2, 2));
    let uri = device.uri().parse().expect("a URI");
    (device, uri)
}

/// Moves so many periods. What goes wrong is mended as core would, and counts as well.
fn moved(mut turn: impl FnMut() -> Result<(), PcmError>, mut mend: impl FnMut()) -> Counts {
    let (mut left, mut all) = (PERIODS, Counts::default());
    while left > 0 {
        let (moved, counts) = counted(|| turn().inspect_err(|_| mend()));
        left -= usize::from(moved.is_ok());
        all = Counts { heap: all.heap + counts.heap, locks: all.locks + counts.locks };
    }
    all
}

pub(crate) fn captured(format: &str, rate: u32) -> Counts {
    let (_device, uri) = device(format, rate);
    let (source, opened) =
        pcm::open_capture(&uri, Options::of(Direction::Capture, Channels::Stereo)).expect("it opens");
    assert_eq!((opened.rate_hz, &*opened.format), (rate, format));
    let source = std::cell::RefCell::new(source);
    let mut room = [0; PERIOD_VALUES_MAX];
    let values = source.borrow().period() * source.borrow().channels();
    let read = || source.borrow_mut().read(&mut room[..values]).map(|_| ());
    moved(read, || {
        let _ = source.borrow_mut().recover(Step::Prepare);
    })
}

pub(crate) fn played(format: &str, rate: u32) -> Counts {
    let (_device, uri) = device(format, rate);
    let (sink, opened) =
        pcm::open_playback(&uri, Options::of(Direction::Playback, Channels::Stereo)).expect("it opens");
    assert_eq!((opened.rate_hz, &*opened.format), (rate, format));
    let sink = std::cell::RefCell::new(sink);
    let period = [1_000; PERIOD_VALUES_MAX];
    let values = sink.borrow().period() * sink.borrow().channels();
    let write = || {
        let mut sink = sink.borrow_mut();
        sink.wait()?;
        let _ = sink.queued();
        sink.write(&period[..values])
    };
    moved(write, || {
        let _ = sink.borrow_mut().recover(Step::Prepare);
    })
}
