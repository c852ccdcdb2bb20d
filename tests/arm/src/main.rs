//! Does one job so many times, for somebody who counts instructions: `soundpost-arm GROUP CASE TIMES`. Without
//! arguments it says which jobs there are, and how large the states are that they keep.

// The codec is a file of the platform, whose other files need ALSA.
extern crate self as soundpost_linux;

#[expect(dead_code, reason = "texts and numbers of threads are for the table of another program")]
mod cases;
mod encode;
#[path = "../../../platform-linux/src/opus.rs"]
pub mod opus;

use cases::groups;
use soundpost_core::adapt::Depth;
use soundpost_core::engine::playback::Playback;
use soundpost_core::jitter::Store;
use soundpost_core::resample::Resampler;
use soundpost_core::stretch::Stretch;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [group, case, times] = &arguments[..] else { return list() };
    if group == encode::TITLE {
        let job = encode::jobs().find(|(name, ..)| name == case);
        if let (Some((_, quality, content)), Ok(times)) = (job, times.parse()) {
            return encode::run(quality, content, times);
        }
    }
    let named = groups().into_iter().find(|known| known.title == group);
    let named = named.and_then(|group| group.cases.iter().find(|known| known.name == case));
    let (Some(case), Ok(times)) = (named, times.parse()) else {
        eprintln!("error: {group:?}, {case:?}, {times:?}: no such job, or no number of times");
        std::process::exit(2);
    };
    (case.run)(times);
}

fn list() {
    for group in groups() {
        group.cases.iter().for_each(|case| println!("job\t{}\t{}", group.title, case.name));
    }
    encode::jobs().for_each(|(name, ..)| println!("job\t{}\t{name}", encode::TITLE));
    // A packet is a handle of the pool, and the codec a pointer to what libopus keeps.
    type Engine = Playback<opus::OpusDecoder, &'static [u8]>;
    let sizes = [
        ("policy", size_of::<Depth>()),
        ("packets that wait", size_of::<Store<&[u8]>>()),
        ("resampler", size_of::<Resampler>()),
        ("stretch", size_of::<Stretch>()),
        ("engine, all of these in it", size_of::<Engine>()),
    ];
    sizes.iter().for_each(|(what, bytes)| println!("size\t{what}\t{bytes}"));
}
