//! What people type and the files they bring.

use soundpost_linux::pcm::{Uri, parse_wav};

/// Any bytes: as the name of a device, and as a recording.
pub fn wav_and_uri(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        match text.parse::<Uri>() {
            Ok(uri) => assert_eq!(uri.to_string().parse(), Ok(uri), "{text:?} is written as another device"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    match parse_wav(data, "x.wav") {
        Ok((channels, values, _)) => {
            assert_eq!(values.len() % channels.count(), 0, "half a sample");
            assert!(values.len() <= data.len(), "more sound than bytes");
        }
        Err(what) => assert!(!what.is_empty()),
    }
}
