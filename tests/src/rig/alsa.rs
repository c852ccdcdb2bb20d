//! ALSA devices for programs under test. Each is a software PCM whose other end is a port of the
//! rig's JACK server; a `plug` in front converts formats, rates and channel counts as it would in
//! front of a sound card. Promises that programs started with [`AlsaConf::envs`] see these devices
//! in addition to the system's own definitions, under the names given, and nobody else sees them.
//!
//! A device connects its ports when its hardware parameters are set, and fails there when a port
//! does not exist: open the probe first.

use std::fmt::Write as _;
use std::fs;

use tempfile::TempDir;

use super::Jack;

const SYSTEM: &str = "/usr/share/alsa/alsa.conf";

/// The devices, written to a private file that lives as long as this value.
pub struct AlsaConf {
    directory: TempDir,
    server: Vec<(String, String)>,
}

/// Collects devices for an [`AlsaConf`].
pub struct AlsaConfBuilder {
    text: String,
    server: Vec<(String, String)>,
}

impl AlsaConf {
    /// Starts with no device of its own.
    pub fn builder(jack: &Jack) -> AlsaConfBuilder {
        AlsaConfBuilder { text: format!("<{SYSTEM}>\n"), server: jack.envs() }
    }

    /// What a child process needs in its environment to use the devices.
    pub fn envs(&self) -> Vec<(String, String)> {
        let path = self.directory.path().join("alsa.conf");
        let path = path.into_os_string().into_string().expect("a temporary path is plain text");
        let mut envs = self.server.clone();
        envs.push(("ALSA_CONFIG_PATH".into(), path));
        envs
    }
}

impl AlsaConfBuilder {
    /// A capture device: channel `n` of what it records is what the JACK output port `sources[n]`
    /// plays. An empty name leaves the channel open, to be connected later.
    pub fn capture(self, name: &str, sources: &[&str]) -> Self {
        self.device(name, "capture_ports", sources)
    }

    /// A playback device: channel `n` goes to the JACK input port `destinations[n]`. An empty name
    /// leaves the channel open, to be connected later.
    pub fn playback(self, name: &str, destinations: &[&str]) -> Self {
        self.device(name, "playback_ports", destinations)
    }

    fn device(mut self, name: &str, section: &str, ports: &[&str]) -> Self {
        let ports: String = (0..)
            .zip(ports)
            .map(|(channel, port)| match *port {
                "" => format!(" {channel} {{ }}"),
                port => format!(" {channel} \"{port}\""),
            })
            .collect();
        write!(
            self.text,
            "\npcm.{name}_jack {{\n  type jack\n  name \"{name}\"\n  {section} {{{ports} }}\n}}\n\
             pcm.{name} {{\n  type plug\n  slave.pcm \"{name}_jack\"\n  \
             hint {{ show on description \"{name} of the test rig\" }}\n}}\n",
        )
        .expect("text takes text");
        self
    }

    /// Writes the file.
    ///
    /// # Panics
    ///
    /// When the ALSA library's own configuration or its JACK plugin is missing.
    pub fn write(self) -> AlsaConf {
        assert!(fs::exists(SYSTEM).unwrap_or(false), "no {SYSTEM} (Debian package libasound2-data)");
        let directory = TempDir::with_prefix("soundpost-rig-").expect("a temporary directory");
        fs::write(directory.path().join("alsa.conf"), self.text).expect("a writable file");
        AlsaConf { directory, server: self.server }
    }
}
