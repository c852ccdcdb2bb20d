//! What the actuators of the playback do to speech and music stays within what `docs/sound-quality.md` says of it.
//!
//! Figures by themselves say little, so each is held against doing the same without looking. `cargo run -p
//! soundpost-tests --example sound_quality` prints them all.

use soundpost_core::config::Content;
use soundpost_core::stretch::Urgency;
use soundpost_tests::actuators::{
    Length, Treated, concealed, played, resampled, spliced, spoken, stretched, stretched_blindly,
};
use soundpost_tests::measure::opinion;

fn said(treated: &Treated) -> f64 {
    opinion(&treated.original, &treated.sound)
}

#[test]
fn a_resampled_sound_is_what_an_ideal_resampler_makes_of_it() {
    for (name, sound, least) in [("speech", spoken(), 58.0), ("music", played(), 53.0)] {
        for ppb in [300_000, -300_000, 5_000_000, -5_000_000] {
            let treated = resampled(&sound, ppb);
            let all = treated.all();
            assert!(all.snr > least && all.distance < 0.05, "{name} at {ppb} ppb: {all:?}");
            assert!(treated.louder().abs() < 0.01, "{name} at {ppb} ppb: {} dB", treated.louder());
        }
    }
    assert!(said(&resampled(&spoken(), 300_000)) > 4.6);
}

#[test]
fn periods_come_and_go_with_less_harm_to_speech_than_pieces_cut_blindly() {
    let sound = spoken();
    let blind = stretched_blindly(&sound, Length::InTurn);
    for urgency in [Urgency::Calm, Urgency::Must] {
        let ours = stretched(&sound, Length::InTurn, urgency);
        let (score, other) = (said(&ours), said(&blind));
        assert!(ours.seams.len() > 15, "{} seams", ours.seams.len());
        assert!(score > other + 0.4 && score > 2.8, "{urgency:?}: {score}, blindly {other}");
        assert!(ours.at_seams().snr > blind.at_seams().snr + 2.0, "{urgency:?}: {:?}", ours.at_seams());
    }
    let calm = stretched(&sound, Length::InTurn, Urgency::Calm).at_seams();
    assert!(calm.distance < 0.8 * blind.at_seams().distance, "{calm:?}");
}

#[test]
fn periods_of_music_fit_better_than_pieces_cut_blindly() {
    let sound = played();
    let (ours, blind) = (stretched(&sound, Length::InTurn, Urgency::Calm), stretched_blindly(&sound, Length::InTurn));
    assert!(ours.seams.len() > 15, "{} seams", ours.seams.len());
    assert!(ours.at_seams().snr > blind.at_seams().snr + 2.0, "{:?}, {:?}", ours.at_seams(), blind.at_seams());
}

#[test]
fn a_stretch_leaves_the_level_and_all_that_is_no_seam_as_it_was() {
    for sound in [spoken(), played()] {
        for length in [Length::Less, Length::More, Length::InTurn] {
            let treated = stretched(&sound, length, Urgency::Calm);
            assert!(treated.louder().abs() < 0.1, "{} dB", treated.louder());
            let seam = |at: usize| treated.seams.iter().any(|seam| (seam.start..=seam.end).contains(&at));
            let same = |at: usize| treated.sound[at].to_bits() == treated.original[treated.origin(at)].to_bits();
            assert!((0..treated.sound.len()).filter(|at| !seam(*at)).all(same), "only seams are touched");
        }
    }
}

#[test]
fn what_is_made_up_for_lost_packets_is_told_from_what_was_said() {
    // The control: these figures do fall when something is wrong.
    let sound = spoken();
    let lossy = concealed(&sound, Content::Voice);
    assert!(said(&lossy) < 2.5 && lossy.at_seams().snr < 3.0, "{:?}", lossy.at_seams());
    assert!(spliced(&sound, Content::Voice).all().snr < 50.0);
}
