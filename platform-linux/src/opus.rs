//! libopus behind core's codec traits. Objects are built before the audio starts; coding allocates nothing.

use opus::{Bandwidth, Bitrate, Channels, Decoder, Encoder, Signal};
use soundpost_core::capacity::PAYLOAD_MAX;
use soundpost_core::codec::{CodecError, Decode, Encode, Input};
use soundpost_core::config::{self, Application, Rate, SEAM, SignalKind, Stream, Tuning};
use soundpost_core::time::SAMPLE_RATE_HZ;

/// So long an encoder that joins on to another has more bytes than later: 10 ms, or its first frame.
const JOIN_SAMPLES: u32 = 480;

/// An encoder for one stream.
#[derive(Debug)]
pub struct OpusEncoder {
    encoder: Encoder,
    lookahead: u32,
    channels: usize,
    application: Application,
    tuning: Tuning,
    /// What is coded next is loud: no pause.
    is_loud: bool,
    /// It is made to prefer CELT for a while.
    leans: bool,
    /// Samples in the latest frame.
    frame: u32,
    /// Samples that are still coded as those are that join on to what another encoder coded.
    joins: u32,
}

/// A decoder. It decodes packets of any channel count to the one it was made for.
#[derive(Debug)]
pub struct OpusDecoder {
    decoder: Decoder,
    channels: usize,
}

impl OpusEncoder {
    /// An encoder for `stream`.
    ///
    /// # Errors
    /// What libopus says.
    pub fn new(stream: &Stream) -> Result<Self, opus::Error> {
        let application = match stream.application {
            Application::Voip => opus::Application::Voip,
            Application::LowDelay => opus::Application::LowDelay,
        };
        let mut encoder = Encoder::new(SAMPLE_RATE_HZ, channels(stream.channels), application)?;
        encoder.set_vbr_constraint(true)?;
        encoder.set_lsb_depth(16)?;
        let lookahead = u32::try_from(encoder.get_lookahead()?).unwrap_or(0);
        let mut this = Self {
            encoder,
            lookahead,
            channels: stream.channels.count(),
            application: stream.application,
            tuning: stream.tuning,
            is_loud: false,
            leans: false,
            frame: stream.frame.samples(),
            joins: 0,
        };
        this.set()?;
        Ok(this)
    }

    fn set(&mut self) -> Result<(), opus::Error> {
        let Self { encoder, tuning, .. } = self;
        encoder.set_bitrate(Bitrate::Bits(i32::try_from(tuning.bitrate.bps()).unwrap_or(i32::MAX)))?;
        encoder.set_vbr(tuning.vbr)?;
        encoder.set_complexity(i32::from(tuning.complexity.get()))?;
        encoder.set_max_bandwidth(bandwidth(tuning.rate))?;
        encoder.set_signal(match tuning.signal {
            SignalKind::Voice => Signal::Voice,
            SignalKind::Music => Signal::Music,
        })?;
        encoder.set_inband_fec(tuning.expected_loss_percent > 0)?;
        encoder.set_packet_loss_perc(i32::from(tuning.expected_loss_percent.min(100)))?;
        self.leans = false;
        self.set_dtx()
    }

    fn set_dtx(&mut self) -> Result<(), opus::Error> {
        self.encoder.set_dtx(self.tuning.dtx && !self.is_loud && !self.leans)
    }

    /// What one encoder knows of the past and another does not is heard as a seam. So the last frame of the one and the
    /// first of the other are coded without prediction, and with CELT, whose frames overlap with their neighbours and need
    /// nothing else. Where speech modes are at work, libopus goes from them to CELT and back by itself without a seam: it
    /// is made to prefer CELT for that while. Sizes are constant meanwhile, so that no later frame has to save.
    fn lean_on_celt(&mut self) -> Result<(), opus::Error> {
        let bps = SEAM.bps_of(self.frame) * self.channels as u32;
        let bps = bps.max(self.tuning.bitrate.bps());
        let encoder = &mut self.encoder;
        encoder.set_prediction_disabled(true)?;
        encoder.set_vbr(false)?;
        encoder.set_bitrate(Bitrate::Bits(i32::try_from(bps).unwrap_or(i32::MAX)))?;
        if self.application == Application::Voip {
            encoder.set_signal(Signal::Music)?;
            encoder.set_max_bandwidth(bandwidth(self.tuning.rate.min(Rate::Hz16000)))?;
            encoder.set_inband_fec(false)?;
            self.leans = true;
        }
        self.set_dtx()
    }
}

impl Encode for OpusEncoder {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        let length = self.encoder.encode(pcm, out).map_err(refused)?;
        self.frame = (pcm.len() / self.channels) as u32;
        if self.joins > 0 {
            self.encoder.set_prediction_disabled(false).map_err(refused)?;
            self.joins = self.joins.saturating_sub(self.frame);
            if self.joins == 0 {
                self.set().map_err(refused)?;
            }
        }
        Ok(length)
    }

    fn lookahead(&self) -> u32 {
        self.lookahead
    }

    fn retune(&mut self, tuning: Tuning) -> Result<(), CodecError> {
        self.tuning = tuning;
        // While it joins on it is tuned for that; what is asked for comes with the next frame.
        if self.joins > 0 { Ok(()) } else { self.set().map_err(refused) }
    }

    fn may_pause(&mut self, yes: bool) {
        if std::mem::replace(&mut self.is_loud, !yes) == yes {
            let _ = self.set_dtx();
        }
    }

    fn wind_up(&mut self) {
        let _ = self.lean_on_celt();
    }

    fn prime(&mut self, past: &[i16]) {
        self.joins = if self.lean_on_celt().is_ok() { JOIN_SAMPLES } else { 0 };
        let lengths = [960, 480, 240, 120].map(|samples| samples * self.channels);
        if let Some(newest) = lengths.into_iter().find_map(|values| past.len().checked_sub(values)) {
            let _ = self.encoder.encode(&past[newest..], &mut [0; PAYLOAD_MAX]);
        }
    }
}

impl OpusDecoder {
    /// A decoder that makes sound of `to`.
    ///
    /// # Errors
    /// What libopus says.
    pub fn new(to: config::Channels) -> Result<Self, opus::Error> {
        Ok(Self { decoder: Decoder::new(SAMPLE_RATE_HZ, channels(to))?, channels: to.count() })
    }
}

impl Decode for OpusDecoder {
    fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
        // libopus is asked in whole steps of 2.5 ms; a remainder (of a gap off the grid) becomes silence.
        let step = 120 * self.channels;
        let (bytes, fec) = match input {
            Input::Packet(bytes) => return self.decoder.decode(bytes, pcm, false).map_err(refused),
            Input::RecoverFrom(bytes) => (bytes, true),
            Input::Conceal => (&[][..], false),
        };
        let (whole, rest) = pcm.split_at_mut(pcm.len() / step * step);
        rest.fill(0);
        if whole.is_empty() {
            return Ok(rest.len() / self.channels);
        }
        let made = self.decoder.decode(bytes, whole, fec).map_err(refused)?;
        Ok(made + rest.len() / self.channels)
    }
}

fn channels(channels: config::Channels) -> Channels {
    match channels {
        config::Channels::Mono => Channels::Mono,
        config::Channels::Stereo => Channels::Stereo,
    }
}

fn bandwidth(rate: Rate) -> Bandwidth {
    match rate {
        Rate::Hz8000 => Bandwidth::Narrowband,
        Rate::Hz12000 => Bandwidth::Mediumband,
        Rate::Hz16000 => Bandwidth::Wideband,
        Rate::Hz24000 => Bandwidth::Superwideband,
        Rate::Hz48000 => Bandwidth::Fullband,
    }
}

fn refused(error: opus::Error) -> CodecError {
    CodecError { code: error.code() as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soundpost_core::capacity::FRAME_VALUES_MAX;
    use soundpost_core::codec::opus_samples;
    use soundpost_core::config::{Content, Direction, FrameLen, Quality};

    #[test]
    fn every_preset_codes_every_frame_length_and_core_reads_its_length() {
        for quality in Quality::ALL {
            for frame in FrameLen::ALL {
                let stream = Stream { frame, ..quality.stream(Direction::Capture, Content::Program) };
                let mut encoder = OpusEncoder::new(&stream).unwrap();
                let mut decoder = OpusDecoder::new(stream.channels).unwrap();
                let pcm: Vec<i16> = (0..stream.frame_values()).map(|n| ((n * n) % 4001) as i16 - 2000).collect();
                let (mut packet, mut back) = ([0; PAYLOAD_MAX], [0; FRAME_VALUES_MAX]);
                let length = encoder.encode(&pcm, &mut packet).unwrap();
                assert_eq!(opus_samples(&packet[..length]), Some(frame.samples()), "{quality} {frame}");
                let samples = decoder.decode(Input::Packet(&packet[..length]), &mut back).unwrap();
                assert_eq!(samples, frame.samples() as usize);
            }
        }
    }

    #[test]
    fn speech_modes_look_ahead_further() {
        let lookahead = |quality: Quality| {
            OpusEncoder::new(&quality.stream(Direction::Capture, Content::Voice)).unwrap().lookahead()
        };
        assert_eq!(Quality::ALL.map(lookahead), [312, 120, 120, 120]);
    }

    #[test]
    fn concealment_fills_all_that_is_asked_for() {
        let mut decoder = OpusDecoder::new(config::Channels::Stereo).unwrap();
        for samples in [1, 119, 120, 121, 960, 2880] {
            let mut pcm = vec![7; samples * 2];
            assert_eq!(decoder.decode(Input::Conceal, &mut pcm).unwrap(), samples);
            assert!(pcm.iter().all(|v| *v == 0), "nothing was heard yet, so nothing is made up");
        }
    }

    #[test]
    fn garbage_is_refused_and_the_decoder_lives_on() {
        let mut decoder = OpusDecoder::new(config::Channels::Mono).unwrap();
        let mut pcm = [0; 5760];
        assert!(decoder.decode(Input::Packet(&[0xff, 0xff, 0xff]), &mut pcm).is_err());
        let stream = Quality::Medium.stream(Direction::Capture, Content::Voice);
        let mut packet = [0; PAYLOAD_MAX];
        let length = OpusEncoder::new(&stream).unwrap().encode(&[0; 960], &mut packet).unwrap();
        assert_eq!(decoder.decode(Input::Packet(&packet[..length]), &mut pcm), Ok(960));
    }
}
