//! What the keys fill in: the values that the daemon goes by, and the streams that they make.

use crate::daemon::access::AllowList;
use crate::gpio::PinName;
use crate::http::Listen;
use crate::pcm::{Choice, Volume};
use soundpost_core::capacity::CLIENTS_MAX;
use soundpost_core::config::{Content, Direction, Gain, Own, Playout, Quality, Stream};
use std::path::PathBuf;

/// What the daemon is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// Where sound comes from.
    pub capture: Choice,
    /// What it is.
    pub content: Content,
    /// The preset.
    pub quality: Quality,
    /// A worse preset is used where no more is possible.
    pub adapt: bool,
    /// What is said instead of the preset's.
    pub own: Own,
    /// How much louder it is sent.
    pub capture_gain: Gain,
    /// The card's own volume.
    pub capture_volume: Option<Volume>,
    /// Where a talker's sound goes.
    pub playback: Choice,
    /// What talkers are asked to send.
    pub talk: Quality,
    /// What it is played with.
    pub profile: Playout,
    /// How much louder it is played.
    pub playback_gain: Gain,
    /// The card's own volume.
    pub playback_volume: Option<Volume>,
    /// The lamp's pin.
    pub lamp: Option<PinName>,
    /// The switch's pin.
    pub mute_switch: Option<PinName>,
    /// The amplifier's pin.
    pub amp: Option<PinName>,
    /// The public socket.
    pub socket: Option<PathBuf>,
    /// Who may connect to it.
    pub allow: AllowList,
    /// How many may at once.
    pub clients_max: usize,
    /// Where HTTP is served.
    pub listen: Option<Listen>,
    /// The file with what lets somebody in there.
    pub token_file: Option<PathBuf>,
    /// Where what outlasts the daemon is kept.
    pub state: Option<PathBuf>,
    /// Capture and playback are threads, not processes.
    pub in_process: bool,
}

impl Default for Values {
    fn default() -> Self {
        let auto = || Choice::from(crate::pcm::Uri::Auto);
        Self {
            capture: auto(),
            content: Content::default(),
            quality: Quality::default(),
            adapt: true,
            own: Own::default(),
            capture_gain: Gain::NONE,
            capture_volume: None,
            playback: auto(),
            talk: Quality::default(),
            profile: Playout::default(),
            playback_gain: Gain::NONE,
            playback_volume: None,
            lamp: None,
            mute_switch: None,
            amp: None,
            socket: None,
            allow: AllowList::default(),
            clients_max: CLIENTS_MAX,
            listen: None,
            token_file: None,
            state: None,
            in_process: false,
        }
    }
}

impl Values {
    /// What is coded: the preset's stream, but for what is said otherwise.
    #[must_use]
    pub fn stream(&self) -> Stream {
        self.stream_at(self.quality)
    }

    /// What is coded instead where no more than this preset is possible.
    #[must_use]
    pub fn stream_at(&self, quality: Quality) -> Stream {
        self.own.stream(self.quality, quality, self.content)
    }

    /// What talkers are asked to send.
    #[must_use]
    pub const fn talk(&self) -> Stream {
        self.talk.stream(Direction::Playback, self.content)
    }
}
