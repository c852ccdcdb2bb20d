//! How much delay a glitch is worth: the one table of playout profiles.

use crate::time::Span;

/// What to prefer when the network is not what it should be: little delay or few gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Playout {
    /// As little delay as can be understood: remote control, intercom.
    Low,
    /// The default: conversation.
    #[default]
    Balanced,
    /// Few gaps, at the price of delay.
    Smooth,
    /// For music: the delay grows until nothing is missing any more, and never shrinks; time is never stretched.
    Frozen,
}

/// What a profile stands for.
///
/// Prices say how much more delay is accepted, for all of the time, so that one unit of time less is made up in each
/// unit of time: at a price of 5 s, one percent of made-up sound is worth 50 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Terms {
    /// What made-up sound is worth in delay.
    pub price: Span,
    /// What it is worth where all delay that it takes is within `calm`.
    pub calm_price: Span,
    /// So much delay is next to nothing, if a network is so calm that it is enough.
    pub calm: Span,
    /// How far beyond the goal a wait for a late packet may raise the delay.
    pub slack: Span,
    /// With so much more delay than is aimed at, what is lost is not missed: it is passed over.
    pub splice: Span,
    /// Periods that may be inserted or removed in a minute, in the long run.
    pub stretches_per_minute: u32,
    /// Insert a period before a packet is needed that is late already, if the chance that it will miss its time is at
    /// least so much; Q15.
    pub hazard: u32,
    /// Whether delay that is not needed is given back.
    pub shrinks: bool,
}

/// The profiles. Prices are lower than what they stand for in the end, since a period inserted in time stands in for
/// some of the delay; `docs/playout.md` tells how they were found.
const TERMS: [Terms; 4] = [
    Terms {
        price: Span::from_millis(2_000),
        calm_price: Span::from_millis(4_000),
        calm: Span::from_millis(10),
        slack: Span::from_millis(30),
        splice: Span::from_millis(60),
        stretches_per_minute: 12,
        hazard: 6_554,
        shrinks: true,
    },
    Terms {
        price: Span::from_millis(3_500),
        calm_price: Span::from_millis(5_000),
        calm: Span::from_millis(15),
        slack: Span::from_millis(40),
        splice: Span::from_millis(60),
        stretches_per_minute: 12,
        hazard: 6_554,
        shrinks: true,
    },
    Terms {
        price: Span::from_millis(8_000),
        calm_price: Span::from_millis(50_000),
        calm: Span::from_millis(30),
        slack: Span::from_millis(40),
        splice: Span::from_millis(60),
        stretches_per_minute: 12,
        hazard: 6_554,
        shrinks: true,
    },
    Terms {
        price: Span::from_millis(50_000),
        calm_price: Span::from_millis(50_000),
        calm: Span::from_millis(30),
        slack: Span::from_millis(1_000),
        splice: Span::from_millis(60_000),
        stretches_per_minute: 0,
        hazard: 1 << 16,
        shrinks: false,
    },
];

const _: () = {
    let [low, balanced, smooth, frozen] = &TERMS;
    assert!(low.price.as_micros() < balanced.price.as_micros());
    assert!(balanced.price.as_micros() < smooth.price.as_micros());
    assert!(low.shrinks && balanced.shrinks && smooth.shrinks && !frozen.shrinks);
};

impl Playout {
    /// All profiles, from the least delay to the most.
    pub const ALL: [Self; 4] = [Self::Low, Self::Balanced, Self::Smooth, Self::Frozen];

    /// What it stands for.
    #[must_use]
    pub const fn terms(self) -> Terms {
        let [low, balanced, smooth, frozen] = TERMS;
        match self {
            Self::Low => low,
            Self::Balanced => balanced,
            Self::Smooth => smooth,
            Self::Frozen => frozen,
        }
    }

    /// The profile's name, as it is written in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Balanced => "balanced",
            Self::Smooth => "smooth",
            Self::Frozen => "frozen",
        }
    }
}
