//! How a device stores sound, and how to get at the channels and the upper 16 bits that core takes.
//!
//! A device has up to eight channels, core one or two: a [`Layout`] knows which of the device's channels those are,
//! by the channel map that the driver reports. Channels that nobody asked for are left out when reading, and get
//! silence when writing.

use alsa::pcm::{ChmapPosition, Format, PCM};
use soundpost_core::capacity::CHANNELS_MAX;

/// The most channels of a device.
pub(super) const DEVICE_CHANNELS_MAX: usize = 8;

/// How a device stores a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    S16,
    S32,
    S24,
    S24Packed,
    Float,
}

/// In the order of preference: 16 bits are what the codec takes.
pub(super) const STORES: [(Store, Format, &str); 5] = [
    (Store::S16, Format::s16(), "S16"),
    (Store::S32, Format::s32(), "S32"),
    (Store::S24, Format::s24(), "S24"),
    (Store::S24Packed, Format::s24_3(), "S24_3"),
    (Store::Float, Format::float(), "FLOAT"),
];

/// How a device stores a sample, and which of its channels are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    store: Store,
    /// Channels of the device.
    device: usize,
    /// Channels of core, of which there may be more.
    ours: usize,
    /// For each of ours, the number of the device's.
    map: [usize; CHANNELS_MAX],
}

impl Store {
    /// Bytes of a value.
    const fn bytes(self) -> usize {
        match self {
            Self::S16 => 2,
            Self::S24Packed => 3,
            Self::S32 | Self::S24 | Self::Float => 4,
        }
    }

    fn decode(self, raw: &[u8]) -> i16 {
        match (self, raw) {
            (Self::S16, &[a, b]) => i16::from_ne_bytes([a, b]),
            (Self::S32, &[a, b, c, d]) => (i32::from_ne_bytes([a, b, c, d]) >> 16) as i16,
            // The upper byte is not the sound's.
            (Self::S24, &[a, b, c, d]) => (i32::from_ne_bytes([a, b, c, d]) >> 8) as i16,
            (Self::S24Packed, &[a, b, c]) if cfg!(target_endian = "big") => {
                let _ = c;
                i16::from_be_bytes([a, b])
            }
            (Self::S24Packed, &[_, b, c]) => i16::from_le_bytes([b, c]),
            (Self::Float, &[a, b, c, d]) => (f32::from_ne_bytes([a, b, c, d]) * 32_768.0).round() as i16,
            _ => 0,
        }
    }

    fn encode(self, value: i16, raw: &mut [u8]) {
        let wide = i32::from(value);
        match self {
            Self::S16 => raw.copy_from_slice(&value.to_ne_bytes()),
            Self::S32 => raw.copy_from_slice(&(wide << 16).to_ne_bytes()),
            Self::S24 => raw.copy_from_slice(&(wide << 8).to_ne_bytes()),
            Self::S24Packed => {
                let [a, b] = value.to_ne_bytes();
                raw.copy_from_slice(&if cfg!(target_endian = "big") { [a, b, 0] } else { [0, a, b] });
            }
            Self::Float => raw.copy_from_slice(&(f32::from(value) / 32_768.0).to_ne_bytes()),
        }
    }
}

impl Layout {
    /// `ours` of the `device` channels of `pcm`, which has been told its parameters: front left and front right where
    /// the driver says which those are, else the first ones.
    pub(super) fn of(pcm: &PCM, store: Store, device: usize, ours: usize) -> Self {
        let positions = pcm.get_chmap().map(|map| Vec::from(&map)).unwrap_or_default();
        Self { store, device, ours, map: fronts(&positions) }
    }

    /// Bytes of a sample of all channels.
    pub(super) const fn bytes(self) -> usize {
        self.store.bytes() * self.device
    }

    /// Channels of core.
    pub(super) const fn channels(self) -> usize {
        self.ours
    }

    /// Which of the device's channels are ours, counted from 1, if not simply the first ones in order.
    pub(super) fn picked(self) -> Option<String> {
        let ours = &self.map[..self.ours];
        let plain = self.device == self.ours && ours.iter().copied().eq(0..self.ours);
        let numbers = ours.iter().map(|channel| (channel + 1).to_string());
        (!plain).then(|| numbers.collect::<Vec<_>>().join(" and "))
    }

    /// Device bytes to values.
    pub(super) fn decode(self, bytes: &[u8], into: &mut [i16]) {
        let width = self.store.bytes();
        for (sample, raw) in into.chunks_exact_mut(self.ours).zip(bytes.chunks_exact(self.bytes())) {
            for (value, channel) in sample.iter_mut().zip(self.map) {
                *value = self.store.decode(&raw[channel.min(self.device - 1) * width..][..width]);
            }
        }
    }

    /// Values to device bytes.
    pub(super) fn encode(self, from: &[i16], into: &mut [u8]) {
        let width = self.store.bytes();
        for (sample, raw) in from.chunks_exact(self.ours).zip(into.chunks_exact_mut(self.bytes())) {
            // All zeros are silence in each of these formats.
            if self.device > self.ours {
                raw.fill(0);
            }
            let (left, right) = (sample[0], sample[self.ours - 1]);
            if self.device == 1 {
                self.store.encode(((i32::from(left) + i32::from(right)) / 2) as i16, raw);
                continue;
            }
            for (value, channel) in [left, right].into_iter().zip(self.map) {
                self.store.encode(value, &mut raw[channel * width..][..width]);
            }
        }
    }
}

/// Where front left and front right are; the first two where that is not said.
fn fronts(positions: &[ChmapPosition]) -> [usize; CHANNELS_MAX] {
    let at = |wanted| positions.iter().position(|position| *position == wanted);
    match (at(ChmapPosition::FL), at(ChmapPosition::FR)) {
        (Some(left), Some(right)) => [left, right],
        _ => [0, 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [i16; 8] = [0, 1, -1, 12_345, -12_345, i16::MAX, i16::MIN, 7];

    #[test]
    fn every_layout_gives_back_what_it_was_given() {
        for (store, _, name) in STORES {
            for (device, ours, map) in [(1, 1, [0, 1]), (2, 2, [0, 1]), (2, 2, [1, 0]), (8, 2, [2, 5]), (6, 1, [0, 1])]
            {
                let layout = Layout { store, device, ours, map };
                let mut bytes = vec![0xaa; VALUES.len() / ours * layout.bytes()];
                layout.encode(&VALUES, &mut bytes);
                let mut back = [0; VALUES.len()];
                layout.decode(&bytes, &mut back);
                assert_eq!(back, VALUES, "{name} {device} {map:?}");
            }
        }
    }

    #[test]
    fn one_channel_goes_to_both_fronts_and_two_meet_in_one() {
        let both = Layout { store: Store::S16, device: 2, ours: 1, map: [0, 1] };
        let mut bytes = [0; 4];
        both.encode(&[5], &mut bytes);
        assert_eq!(bytes, [5_i16.to_ne_bytes(), 5_i16.to_ne_bytes()].concat()[..]);
        let one = Layout { store: Store::S16, device: 1, ours: 2, map: [0, 1] };
        let mut bytes = [0; 2];
        one.encode(&[i16::MIN, i16::MIN + 4], &mut bytes);
        assert_eq!(i16::from_ne_bytes(bytes), i16::MIN + 2);
        let mut back = [0; 2];
        one.decode(&bytes, &mut back);
        assert_eq!(back, [i16::MIN + 2; 2]);
    }

    #[test]
    fn channels_that_are_not_ours_get_silence() {
        let layout = Layout { store: Store::S16, device: 4, ours: 2, map: [3, 1] };
        let mut bytes = [0xaa; 8];
        layout.encode(&[0x0102, 0x0304], &mut bytes);
        let values: Vec<_> = bytes.chunks(2).map(|raw| i16::from_ne_bytes([raw[0], raw[1]])).collect();
        assert_eq!(values, [0, 0x0304, 0, 0x0102]);
    }

    #[test]
    fn the_front_channels_are_found_wherever_they_are() {
        use ChmapPosition::{FC, FL, FR, LFE, Mono, RL, RR, Unknown};
        assert_eq!(fronts(&[FL, FR]), [0, 1]);
        assert_eq!(fronts(&[FR, FL]), [1, 0]);
        assert_eq!(fronts(&[LFE, FC, RL, FL, RR, FR]), [3, 5]);
        for vague in [&[][..], &[Unknown; 8], &[Mono], &[FC, LFE]] {
            assert_eq!(fronts(vague), [0, 1]);
        }
    }

    #[test]
    fn loud_floats_are_clipped() {
        assert_eq!(Store::Float.decode(&2.0_f32.to_ne_bytes()), i16::MAX);
        assert_eq!(Store::Float.decode(&(-2.0_f32).to_ne_bytes()), i16::MIN);
        assert_eq!(Store::Float.decode(&f32::NAN.to_ne_bytes()), 0);
    }
}
